"""A folder in which a white edge gives one class away, and the audit of a model that reads edges."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fishnet.audit.carriers import training_carriers
from fishnet.audit.folder import audit_folder
from fishnet.audit.regions import elliptic
from fishnet.audit.sections import Audited
from fishnet.audit.tables import photo_table
from fishnet.audit.verdicts import verdicts
from fishnet.data.folder import PhotoFolder
from fishnet.data.listing import FolderSource
from fishnet.data.seen import SeenPhotos
from tests.support.readers import BorderReader

SIDE, EACH = 32, 24  # photos of a class in each part
PARTS = ("train", "val", "test")


def is_edged(path: str) -> bool:
    """Every second photo of class 2 has a white edge."""
    return path.startswith("class 2") and int(Path(path).stem[-3:]) % 2 == 0


def edged_folder(root: Path) -> PhotoFolder:
    """Three classes told by the colour of the middle; half of the last one also by a white edge."""
    rng = np.random.default_rng(0)
    for label in range(3):
        for number in range(EACH * len(PARTS)):
            photo = rng.integers(0, 110, (SIDE, SIDE, 3), dtype=np.uint8)
            photo[12:20, 12:20, label] = 200
            path = f"class {label}/{number:03d}.png"
            if is_edged(path):
                photo[:3] = photo[-3:] = 255
            (root / path).parent.mkdir(exist_ok=True)
            Image.fromarray(photo).save(root / path)
    plain = PhotoFolder(source=FolderSource(str(root)), group="none", duplicates="ignore", cache="off")
    numbers = plain.table["path"].str[-7:-4].astype(int)
    parts = pd.Series(np.array(PARTS, object)[numbers // EACH], index=plain.table.index)
    return replace(plain, seen=SeenPhotos.of(plain.table["sha256"], parts, "none"))


def edged_audit(folder: PhotoFolder, stored: Path) -> Audited:
    """Of a model that reads the edge."""
    model = BorderReader(SIDE, classes=3)
    rows = np.flatnonzero(folder.table["seen"] != "train")
    keep = {"stored": stored, "about": {"model": "reads the edge"}, "progress": False}
    regions_of = partial(lambda rows: elliptic(len(rows), SIDE))
    audit = audit_folder(model, folder, rows, regions_of, most_donors=60, **keep)
    found = verdicts(audit)
    assert [verdict.word for verdict in found] == ["nothing", "nothing", "shortcut"]
    trained = training_carriers(model, folder, audit, found, regions_of, **keep)
    photos = photo_table(audit, found, trained)
    return Audited(model, folder, audit, found, photos, stored, batch_size=16, seed=0)


def many_classes(audited: Audited, count: int) -> Audited:
    """The same figures under so many names: three shortcuts, two without a verdict, nothing in the others."""
    measured, old = audited.measured, len(audited.found)
    names = [f"Fish {number:02d} of the long name" for number in range(count)]
    photos = measured.photos.copy()
    turn = photos.groupby("label").cumcount()
    photos["label"] = (photos["label"] + old * (turn % (count // old))).astype(int)
    photos["class"] = [names[label] for label in photos["label"]]
    columns = np.arange(count) % old
    effects = replace(
        measured.effects, logits=measured.effects.logits[..., columns],
        probabilities=measured.effects.probabilities[..., columns], whole=measured.effects.whole[..., columns],
        labels=photos["label"].to_numpy()[measured.donors],
    )  # fmt: skip
    measured = replace(
        measured, photos=photos, classes=names, effects=effects, tests=[measured.tests[n] for n in columns],
        recalls=[measured.recalls[n] for n in columns],
    )  # fmt: skip
    shortcut = next(verdict for verdict in audited.found if verdict.word == "shortcut")
    nothing = next(verdict for verdict in audited.found if verdict.word == "nothing")
    withheld = replace(
        nothing, word="withheld", reason="12 photos that the model has not learned from, and 40 are needed"
    )
    words = dict.fromkeys((2, 20, 38), shortcut) | dict.fromkeys((4, 22), withheld)
    found = [replace(words.get(number, nothing), name=name) for number, name in enumerate(names)]
    return replace(audited, model=BorderReader(SIDE, classes=count), measured=measured, found=found)
