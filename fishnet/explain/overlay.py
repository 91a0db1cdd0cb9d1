"""Which photos to show, and how: the founding study's red over the photo, its true and predicted class underneath."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from fishnet.files import replacing
from fishnet.fonts import font_for, shown
from fishnet.measure.predictions import Predictions, margins

SMALLEST = 224  # pixels; below, a face or a fin cannot be recognised in a browser
STRENGTH = 0.75  # how far the hottest spot hides the photo
HALF = 0.5  # of a map's maximum: there runs its line
LIGHT, DARK = (255, 255, 255), (24, 24, 24)  # of the line, side by side: one of them is seen on any photo
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
    """`reddened`, with a thin line at half of the map's maximum, for red on a red fish is not seen."""
    picture, warmth = reddened(photo, values)
    draw_half(picture, warmth)
    return Image.fromarray(picture)


def reddened(photo: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Red where the map is hot (red = heat, green and blue 0), the photo itself where it is not; and the map in [0, 1]
    at that size."""
    side = max(SMALLEST, *photo.shape[:2])
    scale = side / max(photo.shape[:2])
    size = round(photo.shape[1] * scale), round(photo.shape[0] * scale)
    base = np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC))
    warmth = heat(values, size)
    return _blended(base, warmth), warmth


def _blended(base: np.ndarray, warmth: np.ndarray) -> np.ndarray:
    kept = 1 - STRENGTH * warmth
    picture: np.ndarray = cv2.multiply(base, cv2.merge([kept, kept, kept]), dtype=cv2.CV_32F)
    picture[..., 0] += 255 * warmth * (1 - kept)
    return cv2.convertScaleAbs(picture)


def draw_half(
    picture: np.ndarray, warmth: np.ndarray, *, dark: tuple[int, ...] = DARK, light: tuple[int, ...] = LIGHT
) -> None:
    """Draw the line at half of the maximum into the picture, light with a dark rim; a cold map has none.

    Args:
        picture: rows × columns × 3 bytes; or rows × columns numbers of colours in a palette: then no line is smoothed.
        warmth: the map in [0, 1], of the same size.
        dark, light: the colours of rim and line.
    """
    beyond = 2  # pixels outside the frame, so that no line runs along its edge
    hot = cv2.copyMakeBorder((warmth >= HALF).astype(np.uint8), *4 * (beyond,), cv2.BORDER_REPLICATE)
    lines, _ = cv2.findContours(hot, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE, offset=(-beyond, -beyond))
    kind = cv2.LINE_AA if picture.ndim == 3 else cv2.LINE_8
    for colour, thickness in ((dark, 2), (light, 1)):
        cv2.drawContours(picture, lines, -1, colour, thickness, kind)


def with_legend(page: Image.Image) -> Image.Image:
    """The page above a strip that says what the red and the line are."""
    strip = np.full((LINE + GAP, max(page.width, 330), 3), 255, np.uint8)
    bar = strip[4:16, 40:130]
    warmth = np.broadcast_to(np.linspace(0, 1, bar.shape[1], dtype=np.float32), bar.shape[:2])
    picture = _blended(np.full(bar.shape, 190, np.uint8), warmth)
    draw_half(picture, warmth)
    bar[:] = picture
    whole = Image.new("RGB", (strip.shape[1], page.height + len(strip)), PAPER)
    whole.paste(page, (0, 0))
    whole.paste(Image.fromarray(strip), (0, page.height))
    pencil = ImageDraw.Draw(whole)
    for left, text in ((GAP, "less"), (136, "more · line: at half of the most")):
        pencil.text((left, page.height + 2), text, font=font_for(text, TEXT - 1), fill=INK)
    return whole


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
