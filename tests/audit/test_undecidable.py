"""What no labels can decide: a cue on the animal, in every photo of a class and in no other."""

from functools import partial

import numpy as np
import pandas as pd
from PIL import Image

from fishnet.audit.folder import audit_folder
from fishnet.audit.page import audit_page
from fishnet.audit.questions import sections_of
from fishnet.audit.regions import elliptic
from fishnet.audit.sections import Audited
from fishnet.audit.tables import photo_table
from fishnet.audit.verdicts import verdicts
from fishnet.data.folder import PhotoFolder
from fishnet.data.listing import FolderSource
from tests.support.edged import SIDE
from tests.support.readers import BorderReader


def marked_folder(root, *, on_animal: bool) -> PhotoFolder:
    """Two classes of a coloured animal in the middle; every photo of a third has a mark, on the animal or at the edge,
    by which alone it is told."""
    rng = np.random.default_rng(0)
    for label in range(3):
        (root / f"class {label}").mkdir(parents=True)
        for number in range(48):
            photo = rng.integers(0, 110, (SIDE, SIDE, 3), dtype=np.uint8)
            if label < 2:
                photo[12:20, 12:20, label] = 200
            elif on_animal:
                photo[12:20, 12:20, 2] = 220
            else:
                photo[:3] = photo[-3:] = 255
            Image.fromarray(photo).save(root / f"class {label}" / f"{number:03d}.png")
    return PhotoFolder(source=FolderSource(str(root)), group="none", duplicates="ignore", cache="off")


def page_of(folder: PhotoFolder, stored) -> tuple[list[str], str]:
    model, rows = BorderReader(SIDE, classes=3), np.arange(len(folder.table))
    measured = audit_folder(
        model, folder, rows, partial(lambda rows: elliptic(len(rows), SIDE)), stored=stored, about={}, most_donors=48,
        hosts=6, progress=False,
    )  # fmt: skip
    found = verdicts(measured)
    photos = photo_table(measured, found, pd.DataFrame())
    audited = Audited(model, folder, measured, found, photos, stored, batch_size=32, seed=0)
    return [verdict.word for verdict in found], audit_page(audited, name="marked", sections=sections_of(audited))


def test_on_the_animal_the_page_says_that_labels_cannot_decide_and_what_would(tmp_path):
    words, page = page_of(marked_folder(tmp_path / "photos", on_animal=True), tmp_path / "effects")
    assert words == ["nothing"] * 3
    assert "labels alone cannot decide" in page and "region=masks" in page and "photos of the class without it" in page
    assert "no proof of innocence" in page


def test_off_the_animal_it_is_named(tmp_path):
    words, page = page_of(marked_folder(tmp_path / "photos", on_animal=False), tmp_path / "effects")
    assert words == ["nothing", "nothing", "shortcut"]
    assert "class 2: the answer leans on" in page
