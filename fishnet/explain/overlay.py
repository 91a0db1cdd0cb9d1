"""Which photos to show, and how: the founding study's red over the photo, its true and predicted class underneath."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from fishnet.files import replacing
from fishnet.fonts import font_for, shown
from fishnet.measure.predictions import Predictions, margins

SMALLEST = 224  # pixels; below, a face or a fin cannot be recognised in a browser
STRENGTH = 0.75  # how far the hottest spot hides the photo
INK, GREEN, RED, PAPER = (34, 48, 60), (39, 103, 73), (197, 48, 48), (255, 255, 255)
TEXT, LINE, GAP = 13, 18, 6


@dataclass(frozen=True)
class Caption:
    """The true class of a photo and the model's prediction."""

    true: str
    predicted: str
    probability: float


def heat(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A raw map in [0, 1] at width × height: evidence against the class is cut off, evidence for it fills the range.

    A map without any evidence for the class stays cold everywhere.
    """
    positive = _filled(np.maximum(values, 0).astype(np.float32))
    scaled = Image.fromarray(positive).resize(size, Image.Resampling.BILINEAR)
    return _filled(np.asarray(scaled, dtype=np.float32))


def _filled(values: np.ndarray) -> np.ndarray:
    shifted = values - values.min()
    return shifted / (1e-7 + shifted.max())


def overlay(photo: np.ndarray, values: np.ndarray) -> Image.Image:
    """Red where the map is hot (red = heat, green and blue 0), the photo itself where it is not."""
    side = max(SMALLEST, *photo.shape[:2])
    scale = side / max(photo.shape[:2])
    size = round(photo.shape[1] * scale), round(photo.shape[0] * scale)
    base = np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC), dtype=np.float32)
    warmth = heat(values, size)[..., None]
    red = warmth * np.array([255, 0, 0], np.float32)
    share = STRENGTH * warmth
    return Image.fromarray((base * (1 - share) + red * share).round().astype(np.uint8))


def save(picture: Image.Image, path: Path) -> None:
    """As JPEG, with full colour resolution: red on a photo suffers most from the usual halving."""
    with replacing(path) as temporary:
        picture.save(temporary, format="JPEG", quality=95, subsampling=0)


def captioned(picture: Image.Image, caption: Caption) -> Image.Image:
    """The picture above two lines: the true class, and the predicted one in green when right, in red when wrong."""
    tile = Image.new("RGB", (picture.width, picture.height + 2 * LINE + GAP), PAPER)
    tile.paste(picture, (0, 0))
    pencil = ImageDraw.Draw(tile)
    colour = GREEN if caption.true == caption.predicted else RED
    percent = f" {caption.probability:.0%}"
    _line(pencil, picture.height + GAP // 2, tile.width, "true: ", caption.true, "", INK)
    _line(pencil, picture.height + GAP // 2 + LINE, tile.width, "answer: ", caption.predicted, percent, colour)
    return tile


def labelled(picture: Image.Image, text: str) -> Image.Image:
    """The picture with one line under it."""
    tile = Image.new("RGB", (picture.width, picture.height + LINE + GAP), PAPER)
    tile.paste(picture, (0, 0))
    _line(ImageDraw.Draw(tile), picture.height + GAP // 2, tile.width, "", text, "", INK)
    return tile


def _line(pencil: ImageDraw.ImageDraw, top: int, width: int, before: str, name: str, after: str, colour) -> None:
    """Only the name is cut when the line is too long."""
    for length in range(60, 1, -1):
        text = before + shown(name, length) + after
        letters = font_for(text, TEXT)
        if letters.getlength(text) <= width - 6:
            break
    pencil.text((3, top), text, font=letters, fill=colour)


def sheet(tiles: list[Image.Image], columns: int = 4, title: str = "") -> Image.Image:
    """Tiles of one size in rows, on white."""
    columns = max(1, min(columns, len(tiles)))
    width, height = tiles[0].size
    top = GAP + (TEXT + 14 if title else 0)
    rows = -(-len(tiles) // columns)
    page = Image.new("RGB", (GAP + columns * (width + GAP), top + rows * (height + GAP)), PAPER)
    if title:
        text = shown(title, 90)
        ImageDraw.Draw(page).text((GAP, GAP), text, font=font_for(text, TEXT + 3), fill=INK)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        page.paste(tile, (GAP + column * (width + GAP), top + row * (height + GAP)))
    return page


def fixed_panel(rows: np.ndarray, labels: np.ndarray, photos: int) -> list[int]:
    """Rows spread over the classes, the same in every run on the same split: one of each class, then the next of each.

    With more classes than photos, the classes shown are spread evenly over their list.
    """
    rng = np.random.default_rng(0)
    queues = [rng.permutation(rows[labels == label]).tolist() for label in np.unique(labels)]
    if len(queues) > photos:
        queues = [queues[number] for number in np.linspace(0, len(queues) - 1, photos).round().astype(int)]
    turns = max((len(queue) for queue in queues), default=0)
    return [queue[turn] for turn in range(turns) for queue in queues if turn < len(queue)][:photos]


def instructive_rows(table: pd.DataFrame, margin: np.ndarray, most: int) -> list[int]:
    """Rows of the surest mistakes, then of the surest right answers; half each if there are enough.

    Photos that the model has not seen go first, then those it was chosen by, then those it was trained on; in each of
    these the classes take turns.

    Args:
        table: `true` and `explained` class of each photo, and where it is known `seen`, its part in the training.
        margin: how sure each answer is.
        most: rows altogether.
    """
    order = {"train": 2, "val": 1}
    seen = table["seen"].map(lambda part: order.get(part, 0)) if "seen" in table else 0
    ranked = pd.DataFrame({"true": table["true"], "right": table["true"] == table["explained"], "seen": seen})
    ranked = ranked.assign(margin=margin).sort_values("margin", ascending=False, kind="stable")
    ranked["turn"] = ranked.groupby(["right", "seen", "true"]).cumcount()
    ranked = ranked.sort_values(["seen", "turn"], kind="stable")
    mistakes, hits = ranked.index[~ranked["right"]].tolist(), ranked.index[ranked["right"]].tolist()
    mistakes = mistakes[: max(most // 2, most - len(hits))]
    return [*mistakes, *hits[: max(0, most - len(mistakes))]]


def most_informative(predictions: Predictions, label: int, photos: int) -> list[int]:
    """Positions of one class's surest right answers, then of its surest wrong ones; half each if there are enough."""
    own = np.flatnonzero(predictions.label == label)
    ranked = own[np.argsort(-margins(predictions.logits[own]), kind="stable")]
    hit = predictions.predicted[ranked] == label
    right, wrong = ranked[hit], ranked[~hit]
    rights = min(len(right), max(photos - photos // 2, photos - len(wrong)))
    return [*right[:rights].tolist(), *wrong[: photos - rights].tolist()]
