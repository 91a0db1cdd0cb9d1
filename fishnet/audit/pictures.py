"""Pictures of the audit's page: regions outlined, carriers side by side, hosts before and after."""

from collections.abc import Sequence
from io import BytesIO
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image
from torch import Tensor

from fishnet.explain.overlay import labelled, sheet
from fishnet.models.interface import Classifier
from fishnet.models.isolation import eval_mode_restored
from fishnet.page.figures import data_address

from .exchange import Exchange
from .kinds import Views, exchanged

TILE = 160  # pixels
YELLOW = (236, 201, 75)


class Example(NamedTuple):
    """One host before and after the exchange: (side, side, 3) bytes, and the probability of the donor's class."""

    before: np.ndarray
    after: np.ndarray
    probability_before: float
    probability_after: float


def examples(model: Classifier, donor: Views, hosts: Views, kind: str, label: int) -> list[Example]:
    """The hosts with what the first donor brings."""
    after = exchanged(kind, hosts, donor)[0]
    with eval_mode_restored(model):
        exchange = Exchange(model, hosts, np.zeros(len(hosts), int), [kind])
        probabilities = [exchange.answers(photos)[1, :, label].tolist() for photos in (hosts.pixels, after)]
    return [
        Example(as_bytes(hosts.pixels[n]), as_bytes(after[n]), probabilities[0][n], probabilities[1][n])
        for n in range(len(hosts))
    ]


def as_bytes(image: Tensor) -> np.ndarray:
    """(3, side, side), 0 to 1 → (side, side, 3)."""
    return (image.permute(1, 2, 0).clamp(0, 1) * 255).round().byte().cpu().numpy()


def tile(photo: np.ndarray, text: str, region: np.ndarray | None = None) -> Image.Image:
    """A photo with a line under it, its region outlined."""
    large = cv2.resize(photo, (TILE, TILE), interpolation=cv2.INTER_CUBIC)
    if region is not None:
        mask = cv2.resize(region.astype(np.uint8), (TILE, TILE), interpolation=cv2.INTER_NEAREST)
        edges = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
        cv2.drawContours(large, edges, -1, YELLOW, 2)
    return labelled(Image.fromarray(large), text)


def carriers_sheet(photos: Sequence[np.ndarray], regions: Sequence[np.ndarray], rises: Sequence[float]) -> str:
    """Address of a sheet of photos with their regions and by how much each raises its class."""
    tiles = [tile(*parts) for parts in zip(photos, (f"+{rise:.2f}" for rise in rises), regions, strict=True)]
    return address(sheet(tiles, columns=6))


def exchange_sheet(donor: np.ndarray, region: np.ndarray, shown: Sequence[Example]) -> str:
    """Address of a sheet: the donor, then each host before and, below it, after."""
    columns = len(shown) + 1
    above = [tile(donor, "", region), *(tile(e.before, f"before: {e.probability_before:.0%}") for e in shown)]
    blank = Image.new("RGB", above[0].size, "white")
    below = [blank, *(tile(e.after, f"after: {e.probability_after:.0%}") for e in shown)]
    return address(sheet([*above, *below], columns=columns))


def mended_sheet(
    donor: np.ndarray,
    region: np.ndarray,
    before: Sequence[Example],
    after: Sequence[Example],
    *,
    name: str,
    brought: str,
) -> Image.Image:
    """The donor, then hosts as they are and, below, with what the donor brings; under each photo the probability of the
    donor's class before and after mending.

    Args:
        donor, region: a photo, and what of it was left alone.
        before, after: the same hosts, answered by the model before and after.
        name: of the donor's class.
        brought: what the hosts were given, in words.
    """
    pairs = list(zip(before, after, strict=True))
    legend = np.full((TILE, TILE, 3), 255, np.uint8)
    above = [tile(donor, f"a {name}", region)]
    above += [tile(b.before, f"{b.probability_before:.0%} → {a.probability_before:.0%}") for b, a in pairs]
    below = [tile(legend, f"with {brought}:")]
    below += [tile(b.after, f"{b.probability_after:.0%} → {a.probability_after:.0%}") for b, a in pairs]
    return sheet([*above, *below], columns=len(above), title=f"Probability of {name}, before → after mending")


def crops_sheet(photos: Sequence[np.ndarray], boxes: Sequence[tuple[slice, slice]], texts: Sequence[str]) -> str:
    """Address of a sheet: photos with the box of each outlined, and below, large, what lies in it."""
    above, below = [], []
    for photo, box, text in zip(photos, boxes, texts, strict=True):
        region = np.zeros(photo.shape[:2], bool)
        region[box] = True
        above.append(tile(photo, "", region))
        below.append(tile(photo[box], text))
    return address(sheet([*above, *below], columns=len(above)))


def address(picture: Image.Image) -> str:
    """As a JPEG inside the page."""
    packed = BytesIO()
    picture.save(packed, format="JPEG", quality=88)
    return data_address(packed.getvalue(), "image/jpeg")
