"""What a class rests on as pictures of their own, with which any model can be tested: a set of cues.

A cue is a carrier's photo, cut to the square that the audited model saw of it, at the photo's own resolution, with the
animal's region left transparent. Beside the pictures cues.json says whose they are. Photos whose licence forbids
derivatives, or is not known where others' are, are not copied.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from fishnet.collect.licences import OPEN, licence_code
from fishnet.data.views import Box, view_box
from fishnet.errors import BadInput
from fishnet.files import replacing, write_whole
from fishnet.images import RefusedImage, load_pixels, read_bytes
from fishnet.text import slugs

from .kinds import KINDS
from .sections import Audited
from .verdicts import Verdict

MOST = 24  # of a class
LARGEST = 1024  # pixels of a side
TABLE = "cues.json"
OWNER = ("licence", "observer", "attribution", "url")  # columns of a manifest that go with the picture


class Cue(NamedTuple):
    """A picture of a set of cues.

    Attributes:
        file: its name in the set's folder.
        name: of the class that rests on it.
        kind: what of it is laid into hosts.
        group: pictures of a group are no independent evidence.
        sha256: of the file.
    """

    file: str
    name: str
    kind: str
    group: str
    sha256: str


def write_cues(audited: Audited, folder: Path, *, model: str) -> Counter[str]:
    """Write the cues of each class that rests on something, and return how many were left out for their licence.

    Nothing is written where nothing was found.

    Args:
        audited: what was found.
        folder: of the set; it is made.
        model: digest of the audited model.
    """
    left_out, rows = Counter[str](), list[dict[str, Any]]()
    names = dict(zip(audited.measured.classes, slugs(audited.measured.classes), strict=True))
    for verdict in (verdict for verdict in audited.found if verdict.word == "shortcut"):
        photos = carriers_by_rise(audited, verdict)
        free = may_be_copied(photos)
        left_out[verdict.name] = int((~free).sum())
        for position, photo in photos[free].head(MOST).iterrows():
            region = audited.measured.regions.protected[int(str(position))].numpy() > 0.5
            file = f"{names[verdict.name]}-{len(rows):03d}.png"
            if (digest := write_cue(audited, photo, region, folder / file)) is not None:
                rows.append({"file": file, "sha256": digest, **about_cue(verdict, photo)})
    if rows:
        regions, lost = audited.measured.regions, {name: count for name, count in left_out.items() if count}
        about = {"model": model, "region": regions.how, "region_given": regions.given, "left_out": lost}
        write_whole(folder / TABLE, json.dumps({**about, "cues": rows}, indent=1, ensure_ascii=False))
    return left_out


def carriers_by_rise(audited: Audited, verdict: Verdict) -> pd.DataFrame:
    """The judged photos that carry what a class rests on, by their position in `measured.photos`; the best first."""
    measured, test = audited.measured, verdict.test
    label = measured.classes.index(verdict.name)
    rises = measured.effects.probabilities[measured.effects.kinds.index(test.kind), test.carriers, label]
    photos = measured.photos.iloc[measured.donors[test.carriers]].assign(rise=rises)
    return photos.sort_values("rise", ascending=False, kind="stable")


def may_be_copied(photos: pd.DataFrame) -> np.ndarray:
    """Whether each photo may be changed and passed on; where no manifest states licences, the folder's owner knows."""
    if "licence" not in photos:
        return np.ones(len(photos), bool)
    return np.array([licence_code(text) in OPEN for text in photos["licence"]], bool)


def write_cue(audited: Audited, photo: pd.Series, region: np.ndarray, file: Path) -> str | None:
    """Write the picture and return its digest; None where nothing of the photo lies outside the region, or it has
    become unreadable."""
    try:
        pixels, (width, height) = load_pixels(audited.folder.root / photo["path"], sha256=photo["sha256"])
    except RefusedImage:
        return None
    square, region = seen_of(pixels, region, view_box(width, height, audited.model.preprocessing))
    if (longest := max(square.shape)) > LARGEST:
        rows, columns = (max(1, length * LARGEST // longest) for length in square.shape[:2])
        square = cv2.resize(square, (columns, rows), interpolation=cv2.INTER_AREA)
    animal = cv2.resize(region.astype(np.uint8), square.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    animal = cv2.dilate(animal, np.ones((3, 3), np.uint8))[..., None]
    if animal.all():
        return None
    packed = BytesIO()
    Image.fromarray(np.concatenate([square * (1 - animal), 255 * (1 - animal)], axis=2)).save(packed, format="PNG")
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        temporary.write_bytes(packed.getvalue())
    return hashlib.sha256(packed.getvalue()).hexdigest()


def seen_of(pixels: np.ndarray, region: np.ndarray, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """What of a photo lies in the view's box, and the same part of the view's region."""
    rows, columns = pixels.shape[:2]
    top, bottom = (min(rows, max(0, round(edge))) for edge in (box.top, box.top + box.height))
    left, right = (min(columns, max(0, round(edge))) for edge in (box.left, box.left + box.width))
    down, across = region.shape[0] / box.height, region.shape[1] / box.width
    first, last = round((top - box.top) * down), max(1, round((bottom - box.top) * down))
    start, end = round((left - box.left) * across), max(1, round((right - box.left) * across))
    return pixels[top : max(top + 1, bottom), left : max(left + 1, right)], region[first:last, start:end]


def about_cue(verdict: Verdict, photo: pd.Series) -> dict[str, Any]:
    """What cues.json says of a picture besides its file."""
    owner = {name: str(photo.get(name, "")) for name in OWNER}
    return {
        "class": verdict.name, "kind": verdict.test.kind, "rise": round(float(photo["rise"]), 5),
        "photo_sha256": photo["sha256"], "group": str(photo["group"]), **owner,
    }  # fmt: skip


def read_cues(folder: Path) -> list[Cue]:
    """The pictures of a set, each of which is there; or BadInput."""
    try:
        content = json.loads(read_bytes(folder / TABLE).decode("utf-8"))
        cues = list(_cues_of(content))
    except (RefusedImage, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"cues={folder}: it holds no {TABLE} that an audit has written ({error}).") from error
    if not cues:
        raise BadInput(f"cues={folder}: its {TABLE} names no picture.")
    for cue in cues:
        if Path(cue.file).name != cue.file or not (folder / cue.file).is_file():
            raise BadInput(f"cues={folder}: {TABLE} names {cue.file}, which is not there.")
        if cue.kind not in KINDS:
            raise BadInput(f"cues={folder}: {TABLE} names {cue.kind!r}, which this version cannot exchange.")
    return cues


def _cues_of(content: Mapping[str, Any]) -> Iterator[Cue]:
    for row in content["cues"]:
        yield Cue(*(str(row[key]) for key in ("file", "class", "kind", "group", "sha256")))
