"""The planes as pictures: all classes, and each against the rest; suspicious photos beside their neighbours."""

import colorsys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from fishnet.explain.overlay import labelled, sheet
from fishnet.fonts import shown
from fishnet.page.figures import GRID, open_figure

from .embedding import Embedding
from .thumbnails import Images, fitted

# told apart by people who do not see red and green (Okabe and Ito 2008), without black, which is nobody's
DISTINCT = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c6d00", "#7a4fb3")
MOST_NAMED = 30  # classes in a legend
MOST_PANELS = 24  # classes that are drawn against the rest
TILE = 128  # pixels


def class_colours(count: int) -> list[str]:
    """So many colours; beyond eight they go around the circle at two lightnesses."""
    if count <= len(DISTINCT):
        return list(DISTINCT[:count])
    turns = ((number * 0.618034) % 1 for number in range(count))
    tones = (colorsys.hls_to_rgb(turn, 0.42 + 0.14 * (number % 2), 0.75) for number, turn in enumerate(turns))
    return ["#" + "".join(f"{round(255 * part):02x}" for part in tone) for tone in tones]


def draw_planes(embedding: Embedding, path: Path) -> None:
    """A panel for each method, a colour for each class."""
    titles, names, labels = embedding.planes.titles, embedding.shown_names, embedding.labels
    colours = np.array(class_colours(len(names)), object)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(labels))  # no class lies on top of all others
    width = 6.2 * len(titles) + (2.4 if len(names) <= MOST_NAMED else 0)
    with open_figure(width, 5.8, path) as figure:
        panels = figure.subplots(1, len(titles), squeeze=False)[0]
        for axes, (method, title) in zip(panels, titles.items(), strict=True):
            place = embedding.planes.places[method]
            axes.scatter(*place[order].T, c=colours[labels[order]].tolist(), s=_size(len(labels)), linewidths=0)
            _plain(axes, title)
        if len(names) <= MOST_NAMED:
            marks = [panels[-1].scatter([], [], c=colour, s=36) for colour in colours]
            figure.legend(
                marks, [shown(name, 36) for name in names], loc="outside right center", frameon=False, fontsize=9
            )


def draw_each_class(embedding: Embedding, path: Path) -> None:
    """A panel for each class: its photos over those of all others in grey, by the last method."""
    method, title = list(embedding.planes.titles.items())[-1]
    place, names, labels = embedding.planes.places[method], _short_names(embedding)[:MOST_PANELS], embedding.labels
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    colours = class_colours(len(embedding.names))
    with open_figure(3.1 * columns, 3.2 * rows + 0.4, path) as figure:
        figure.suptitle(f"each class against the rest, {title}", fontsize=11)
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, (label, name) in zip(panels, enumerate(names), strict=False):
            own = labels == label
            axes.scatter(*place[~own].T, c="#ccd4db", s=_size(len(labels)) / 2, linewidths=0)
            axes.scatter(*place[own].T, c=colours[label], s=_size(len(labels)), linewidths=0)
            _plain(axes, shown(name, 28))
        for axes in panels[len(names) :]:
            axes.set_visible(False)


def _short_names(embedding: Embedding) -> list[str]:
    return [embedding.folder.names.short(name) for name in embedding.names]


def _size(points: int) -> float:
    return float(np.clip(12000 / max(points, 1), 3, 40))


def _plain(axes: Axes, title: str) -> None:
    """Without scales: only who is near whom means anything."""
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(GRID)


def suspects_sheet(embedding: Embedding, images: Images, most: int) -> Image.Image | None:
    """A row for each of the likeliest wrong labels: the photo, then its nearest neighbours, each with its class."""
    listed = embedding.suspects.head(most)
    if listed.empty:
        return None
    assert embedding.found is not None
    neighbours = embedding.found.neighbours
    points = embedding.table.iloc[embedding.measured]
    place_of = {path: place for place, path in enumerate(points["path"])}
    rows = [[place, *(at for at in neighbours[place] if at >= 0)] for place in listed["path"].map(place_of)]
    photos, classes = (
        embedding.vectors.rows[embedding.measured],
        points["class"].map(embedding.folder.names.short).tolist(),
    )
    columns = max(map(len, rows))
    blank = labelled(Image.new("RGB", (TILE, TILE), "white"), "")
    tiles = []
    for places in rows:
        made = [labelled(fitted(images[int(photos[place])], TILE), str(classes[place])) for place in places]
        tiles += [*made, *[blank] * (columns - len(made))]
    return sheet(tiles, columns=columns)
