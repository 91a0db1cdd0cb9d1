"""Photos that a run's model was tested on, to hand over with it: small, without metadata, and with whose they are."""

import hashlib
import json
import logging
from collections import deque
from collections.abc import Hashable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from fishnet.cells import restored_table
from fishnet.collect.licences import OPEN, licence_code
from fishnet.data.manifest import in_their_spelling, read_manifest
from fishnet.data.sources import source_of
from fishnet.errors import BadInput
from fishnet.images import RefusedImage, load_image, read_bytes
from fishnet.models.bundle import GALLERY_INDEX
from fishnet.text import counted

from .saved_config import read_saved

log = logging.getLogger("fishnet")

LARGEST = 512  # pixels of the longer side
QUALITY = 88
EVERY = 3  # photo is a mistake, while there are both: more of them would make a good model look bad
OWNER = ("licence", "attribution", "url")  # columns of a manifest that go with the photo


def gallery_of(run: Path, most: int) -> dict[str, bytes]:
    """Files of a gallery by name, for `write_bundle`; BadInput where the run has no test, or its photos are not found.

    Args:
        run: folder of the run.
        most: photos; fewer where fewer were tested, may be passed on, and are what they were.
    """
    tested = _tested_photos(run)
    root = photos_root(run)
    if root is None:
        raise BadInput("gallery: the run's photos are not where they were: export where it was trained.")
    tested = _with_owners(tested, run, root)
    allowed = tested[_may_be_passed_on(tested)]
    rows: list[dict[str, Any]] = []
    files: dict[str, bytes] = {}
    for photo in gallery_order(allowed).to_dict("records"):
        if len(rows) == most:
            break
        content = _small_jpeg(root / photo["path"], photo["sha256"])
        if content is not None:
            name = f"{len(rows):03d}.jpg"
            files[name] = content
            rows.append(_about(photo, name))
    if not rows:
        raise BadInput(f"gallery={most}: none of the {len(tested)} photos of the test in {root} can be handed over.")
    if len(rows) < most:
        log.warning(
            "The gallery has %s: of %d in the test, no more can be handed over.",
            counted(len(rows), "photo"),
            len(tested),
        )
    return {**files, GALLERY_INDEX: json.dumps({"photos": rows}, indent=1, ensure_ascii=False).encode()}


def gallery_order(tested: pd.DataFrame) -> pd.DataFrame:
    """The photos in an order whose beginning, however long, is balanced: the classes take turns among the right answers
    and among the mistakes, and of three photos in a row one is a mistake, while there are both.

    Args:
        tested: `sha256`, `class` and `predicted` of each photo; which photo of a class comes first is as good as drawn
            by lot, and the same each time: it is up to the digests.
    """
    ranked = tested.sort_values("sha256", kind="stable").assign(wrong=tested["class"] != tested["predicted"])
    ranked["turn"] = ranked.groupby(["wrong", "class"]).cumcount()
    ranked = ranked.sort_values(["turn", "class"], kind="stable")
    right, wrong = (deque(ranked[ranked["wrong"] == which].to_dict("records")) for which in (False, True))
    ordered: list[dict[Hashable, Any]] = []
    while right or wrong:
        due = len(ordered) % EVERY == EVERY - 1
        ordered.append((wrong if not right or (due and wrong) else right).popleft())
    return pd.DataFrame(ordered, columns=ranked.columns).drop(columns=["wrong", "turn"])


def _tested_photos(run: Path) -> pd.DataFrame:
    """Path, class, answer and digest of each photo of the test."""
    file = run / "report" / "predictions.csv"
    if not file.is_file():
        raise BadInput(f"gallery: {run.name} has tested no photos, which test=true does at the end of a training.")
    text = {"path": str, "class": str, "predicted": str}
    answers = restored_table(pd.read_csv(file, dtype=text, keep_default_na=False)[[*text, "probability"]])
    split = pd.read_csv(run / "split" / "split.csv", dtype=str, keep_default_na=False)
    return answers.merge(split.loc[split["split"] == "test", ["path", "sha256"]], on="path", validate="one_to_one")


def photos_root(run: Path) -> Path | None:
    """The class folders that the run was trained on; None where they are not there, as seen from here, or where the
    photos came from somewhere else."""
    source = source_of(_data_settings(run))
    return source.root if source is not None and source.is_folder and source.root.is_dir() else None


def _data_settings(run: Path) -> Any:
    return read_saved(run / "config" / "config.yaml")["data"]


def _with_owners(tested: pd.DataFrame, run: Path, root: Path) -> pd.DataFrame:
    """With the OWNER columns of the manifest, where the photos have one."""
    named = _data_settings(run).get("manifest")
    file = Path(named).expanduser() if named is not None else root / "manifest.csv"
    if named is None and not file.exists():
        return tested
    rows = in_their_spelling(read_manifest(file), tested["path"]).drop_duplicates("path")
    columns = [name for name in OWNER if name in rows]
    return tested.merge(rows[["path", *columns]], on="path", how="left").fillna(dict.fromkeys(columns, ""))


def _may_be_passed_on(tested: pd.DataFrame) -> "pd.Series[bool]":
    """Made small is changed; where no manifest states licences, the folder's owner knows."""
    if "licence" not in tested:
        return pd.Series(True, tested.index)
    return tested["licence"].map(lambda text: licence_code(text) in OPEN)


def _small_jpeg(file: Path, sha256: str) -> bytes | None:
    """The photo, made small and without its metadata; None where it is not there or not what was tested."""
    try:
        data = read_bytes(file)
        if hashlib.sha256(data).hexdigest() != sha256:
            return None
        image = load_image(data, min_side=LARGEST)
    except RefusedImage:
        return None
    image.info = {}
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    stream = BytesIO()
    image.save(stream, format="JPEG", quality=QUALITY)
    return stream.getvalue()


def _about(photo: Mapping[Hashable, Any], name: str) -> dict[str, Any]:
    owner = {key: photo[key] for key in OWNER if photo.get(key)}
    answer = {"true": photo["class"], "predicted": photo["predicted"], "probability": photo["probability"]}
    return {"file": name, **answer, **owner}
