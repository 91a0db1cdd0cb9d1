"""The page of an embedding: the points to move among, the figures, the overlaps, the likely wrong labels."""

from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np
from markupsafe import Markup
from PIL import Image

from fishnet.page.figures import data_address, picture_address
from fishnet.page.page import Chapter, Widget, render_page
from fishnet.text import counted

from .embedding import Embedding
from .pictures import MOST_PANELS, class_colours, suspects_sheet
from .suspects import suspicion
from .thumbnails import Images, thumbnails

MOST_SUSPECTS, MOST_PAIRS, MOST_CLUSTERS = 40, 15, 25  # in tables and pictures of the page
FEWEST_RIGHT = 0.8  # of a head whose list of wrong labels means what it says
FRAME = 10000  # places are whole numbers up to this


def embedding_page(embedding: Embedding, images: Images, pictures: Path) -> str:
    """The page as HTML.

    Args:
        embedding: what is shown.
        images: the folder's photos by row, at about 96 pixels.
        pictures: the folder that holds `classes.png`.
    """
    points = counted(len(embedding.table), "photo")
    about = f"fishnet embed: {points} of {counted(len(embedding.names), 'class')} by {embedding.vectors.name}"
    chapters = [_points(embedding, images), _figures(embedding), _clusters(embedding), _overlaps(embedding)]
    chapters += [_suspects(embedding, images), _each_class(embedding, pictures)]
    title = f"The photos of {embedding.folder.root.name} as points"
    return render_page(title, about, [chapter for chapter in chapters if chapter], answers=sentences(embedding))


def sentences(embedding: Embedding) -> list[str]:
    """What was found, for those who read no further."""
    if embedding.found is None:
        return ["Nothing could be measured: that takes photos of two classes, from two groups, not learned from."]
    figures = embedding.found.figures
    knn, plain, linear = (figures[name].value for name in ("knn", "knn_ungrouped", "linear"))
    leak = f"The nearest photos name the class of {plain:.0%} of the photos"
    if embedding.table["group"].nunique() < len(embedding.table):
        points = round(100 * plain) - round(100 * knn)  # of the shares as they are printed
        worth = f"worth {counted(points, 'point')}" if points > 0 else "worth nothing"
        leak += f", and of {knn:.0%} where they are of other groups: photos of the same group are {worth}."
    else:
        leak += (
            "; as far as is known no two photos are of one group, so that this may promise too much for new animals."
        )
    lines = [leak, f"A linear head on these vectors names {linear:.0%}, of groups that it has not seen."]
    if len(overlaps := embedding.overlaps):
        first = overlaps.iloc[0]
        both = " and ".join(embedding.folder.names.short(first[name]) for name in ("first", "second"))
        lines.append(f"{both} lie among each other the most ({first['share']:.0%}).")
    if count := len(embedding.suspects):
        agreed = int((embedding.suspects["action"] == "relabel").sum())
        text = (
            f"{counted(count, 'photo')} {'lies' if count == 1 else 'lie'} among another class; suspects.csv proposes "
        )
        text += f"to relabel {agreed}, most of whose neighbours agree, and to drop {count - agreed}: "
        hard = "a head that is wrong on so many photos finds hard ones in the first place, and not wrong labels."
        usual = "look at these first. An unusual photo of the right class may be among them."
        lines.append(text + (hard if linear < FEWEST_RIGHT else usual))
    return lines


def _points(embedding: Embedding, images: Images) -> Chapter:
    chapter = Chapter("Points")
    chapter.add_text(
        "Photos that are alike lie near each other. Distances between far clusters and the sizes of clusters mean "
        "little in t-SNE and UMAP. The name of a class draws it alone against the rest.",
        style="soft",
    )
    small = thumbnails(images, embedding.vectors.rows.tolist())
    data = point_data(embedding) | {"sheets": small.sheets, "side": small.side, "columns": small.columns}
    source = files("fishnet.embed")
    markup, script, style = (source.joinpath(f"scatter.{kind}").read_text("utf-8") for kind in ("html", "js", "css"))
    chapter.add_widget(Widget(Markup(markup), script, style, data))
    return chapter


def point_data(embedding: Embedding) -> dict[str, object]:
    """What the script reads of the points, beside their photos."""
    claims = np.full(len(embedding.table), -1)
    near: list[list[int]] = [[] for _ in range(len(embedding.table))]
    position = {path: number for number, path in enumerate(embedding.table["path"])}
    if embedding.found is not None:
        ids = np.unique(embedding.labels[embedding.measured])
        own = np.unique(embedding.labels[embedding.measured], return_inverse=True)[1]
        ahead, best = suspicion(embedding.found.answers, own)
        claims[embedding.measured] = np.where(ahead > 0, ids[best], -1)
        for number, row in zip(embedding.measured, embedding.found.neighbours, strict=True):
            near[number] = embedding.measured[row[row >= 0]].tolist()
    return {
        "names": embedding.shown_names,
        "colours": class_colours(len(embedding.names)),
        "labels": embedding.labels.tolist(),
        "paths": embedding.table["path"].tolist(),
        "titles": embedding.planes.titles,
        "places": {name: framed(place) for name, place in embedding.planes.places.items()},
        "claims": claims.tolist(),
        "neighbours": near,
        "suspects": [position[path] for path in embedding.suspects["path"]],
    }


def framed(place: np.ndarray) -> list[int]:
    """x and y of each point in turn, 0 to `FRAME`, with one scale for both; y grows downwards, as it does on a screen,
    so that the page shows what the pictures show."""
    place = place * (1, -1)
    low, spread = place.min(axis=0), max(float(np.ptp(place, axis=0).max()), 1e-12)
    shift = (1 - np.ptp(place, axis=0) / spread) / 2
    return ((place - low) / spread * FRAME + shift * FRAME).round().astype(int).ravel().tolist()


def _figures(embedding: Embedding) -> Chapter | None:
    if embedding.found is None:
        return None
    chapter = Chapter("Can the classes be told apart?")
    rows = []
    for row in embedding.figures().to_dict("records"):
        ends = "" if np.isnan(row["low"]) else f"{row['low']:.3f} to {row['high']:.3f}"
        rows.append((row["says"], float(row["value"]), ends))
    chapter.add_table(["figure", "value", "95 %"], rows, numeric={1, 2})
    learned = int(embedding.vectors.learned.sum())
    if learned:
        chapter.add_warning(
            f"The network was trained on {learned} of these photos and knows their labels by heart: they are points, "
            "and no figure counts them."
        )
    return chapter


def _clusters(embedding: Embedding) -> Chapter | None:
    if embedding.found is None or len(embedding.measured_names) > MOST_CLUSTERS:
        return None
    chapter = Chapter("Do the photos fall into the classes by themselves?")
    chapter.add_text(
        "k-means sees no labels and makes as many clusters as there are classes. A column is the cluster that was "
        "matched to a class so that the most photos lie on the diagonal.",
        style="soft",
    )
    called, counts = embedding.folder.names, embedding.found.clusters
    names = [called.short(name) for name in embedding.measured_names]
    rows = [(name, *(int(count) or "" for count in row)) for name, row in zip(names, counts, strict=True)]
    chapter.add_table(["class", *(f"cluster of {name}" for name in names)], rows, numeric=set(range(1, len(names) + 1)))
    return chapter


def _overlaps(embedding: Embedding) -> Chapter | None:
    if embedding.found is None or embedding.overlaps.empty:
        return None
    chapter = Chapter("Which classes lie among each other?")
    chapter.add_text("Photos most of whose neighbours in other groups are of the other class.", style="soft")
    called = embedding.folder.names
    rows = [
        (
            called.full(row["first"]),
            called.full(row["second"]),
            int(row["confused"]),
            f"{row['share']:.0%}",
            row["note"],
        )
        for row in embedding.overlaps.head(MOST_PAIRS).to_dict("records")
    ]
    chapter.add_table(["class", "and class", "photos", "of both", ""], rows, numeric={2, 3})
    return chapter


def _suspects(embedding: Embedding, images: Images) -> Chapter | None:
    if embedding.suspects.empty:
        return None
    chapter = Chapter("Likely wrong labels")
    chapter.add_text(
        "The likeliest first. suspects.csv has them all, each with a proposal: look at the photos, delete the lines "
        "that are wrong, and train with data.curation=suspects.csv.",
        style="soft",
    )
    called, picture = embedding.folder.names, suspects_sheet(embedding, images, most=12)
    assert picture is not None
    caption = "Each row: the photo in question with its label, and the nearest photos of other groups with theirs."
    chapter.add_figure(_jpeg(picture), caption)
    rows = [
        (row["path"], called.full(row["class"]), called.full(row["claimed_by"]), row["by"], row["note"], row["action"])
        for row in embedding.suspects.head(MOST_SUSPECTS).to_dict("records")
    ]
    more = f"the first {MOST_SUSPECTS} of {len(embedding.suspects)}" if len(embedding.suspects) > MOST_SUSPECTS else ""
    header = ["photo", "class", "claimed by", "ahead by", "why", "proposal"]
    chapter.add_table(header, rows, numeric={3}, folded=more or f"all {len(rows)}")
    return chapter


def _each_class(embedding: Embedding, pictures: Path) -> Chapter:
    chapter = Chapter("Each class against the rest")
    cut = len(embedding.names) - MOST_PANELS
    caption = f"The first {MOST_PANELS} classes; {cut} more are in the plane above." if cut > 0 else "A panel a class."
    chapter.add_figure(picture_address(pictures / "classes.png"), caption)
    return chapter


def _jpeg(picture: Image.Image) -> str:
    file = BytesIO()
    picture.save(file, format="JPEG", quality=85)
    return data_address(file.getvalue(), "image/jpeg")
