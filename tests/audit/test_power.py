"""Cues that the audit plants itself: learned by a new layer and found; in all classes, and nobody accused."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fishnet import ImageClassifier
from fishnet.audit import control
from fishnet.audit.control import checked
from fishnet.audit.exchange import measure_effects
from fishnet.audit.folder import audit_folder
from fishnet.audit.power import Bench, power_section, tried
from fishnet.audit.proxy import EmbeddedExchange
from fishnet.audit.regions import elliptic
from fishnet.audit.sections import Audited
from fishnet.audit.verdicts import verdicts
from fishnet.data.datamodule import ImageFolderData
from fishnet.data.seen import SeenPhotos
from fishnet.models.backbones import single_head

SIDE, EACH = 48, 120
CLASSES = ["blue", "green", "red"]


@pytest.fixture(scope="module")
def audited(tmp_path_factory) -> Audited:
    """Three classes told by the colour of the middle, and a network that has learned nothing; a third of the photos is
    for the audit."""
    torch.manual_seed(0)
    home, rng = tmp_path_factory.mktemp("power"), np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        (home / "photos" / name).mkdir(parents=True)
        for number in range(EACH):
            photo = rng.integers(0, 110, (SIDE, SIDE, 3), dtype=np.uint8)
            photo[18:30, 18:30, label] = 200
            Image.fromarray(photo).save(home / "photos" / name / f"{number:03d}.png")
    model = ImageClassifier(
        classes=CLASSES, backbone="cnn", image_size=SIDE,
        backbone_args={"filters": [16, 32], "dense": 0},
    ).eval()  # fmt: skip
    data = ImageFolderData(root=str(home / "photos"), group="none", duplicates="ignore", image_size=SIDE, cache="off")
    data = data.for_model(classes=model.classes, preprocessing=model.preprocessing)
    parts = pd.Series(np.where(np.arange(3 * EACH) % 3, "train", "test"), index=data.table.index)
    folder = replace(data.folder, seen=SeenPhotos.of(data.table["sha256"], parts, "none"))
    rows = np.flatnonzero(folder.table["seen"] == "test")
    measured = audit_folder(
        model, folder, rows, partial(lambda rows: elliptic(len(rows), SIDE)), stored=home / "effects", about={},
        most_donors=40, hosts=6, progress=False,
    )  # fmt: skip
    return Audited(model, folder, measured, verdicts(measured), pd.DataFrame(), home, batch_size=32, seed=0)


def test_effects_from_features_are_those_of_the_photos(audited, tmp_path):
    measured, model = audited.measured, audited.model
    donors = measured.donors[[0, 50, 90]]
    laid = EmbeddedExchange.of(model, audited.views_of(measured.hosts.tolist()), audited.views_of(donors.tolist()))
    labels, groups = (measured.photos[name].to_numpy() for name in ("label", "group"))
    head = single_head(model.network)
    ours = laid.effects(head, float(model.temperature), labels[donors], groups[donors], labels[measured.hosts])
    keys = [str(number) for number in range(len(labels))]
    theirs = measure_effects(
        model, audited.views_of, labels, groups, keys, hosts=measured.hosts, donors=donors, folder=tmp_path, about={},
        progress=False,
    )  # fmt: skip
    for name in ("logits", "probabilities", "whole"):
        assert np.allclose(getattr(ours, name), getattr(theirs, name), atol=2e-3), name


def test_a_border_is_learned_and_found(audited):
    trial = Bench.of(audited, 1).trial("border", 0)
    assert trial.rho > 0.1 and trial.found and trial.worth > 0.1


def test_the_section_counts_what_was_learned(audited):
    judged = [replace(verdict, word="nothing") for verdict in audited.found]
    section = power_section(replace(audited, found=judged))
    table = section.tables["power"]
    assert len(table) == 4 and table["on_animal"].tolist() == [False, False, False, True]
    learned = table[(table["rho"] >= 0.1) & ~table["on_animal"]]
    if len(learned):
        assert section.metrics["audit/power"] == pytest.approx(learned["found"].mean())
    assert power_section(replace(audited, found=judged, power="none")) is None


def test_a_narrow_interval_ends_the_trials(audited, monkeypatch):
    monkeypatch.setattr("fishnet.audit.power.interval", lambda found, count: (0.5, 0.5 if count else 1.5))
    monkeypatch.setattr("fishnet.audit.power.OFF_ANIMAL", ("border",))
    assert len(list(tried(audited, 48, narrow=0.3))) == 1


def test_a_cue_in_all_classes_accuses_nobody(audited):
    accused = [replace(audited.found[0], word="shortcut", reliance=0.3)]
    accused += [replace(verdict, word="nothing") for verdict in audited.found[1:]]
    judged = checked(replace(audited, found=accused))
    assert judged.control == "silent" and judged.found[0].word == "shortcut"
    assert checked(replace(audited, found=[replace(v, word="nothing") for v in accused])).control == ""


def test_where_the_control_accuses_verdicts_are_withheld(audited, monkeypatch):
    accused = [replace(audited.found[0], word="shortcut", reliance=0.3)]
    accused += [replace(verdict, word="nothing") for verdict in audited.found[1:]]
    planted = Bench.planted
    monkeypatch.setattr(Bench, "planted", lambda self, labels, cue, rng: planted(self, [self.label], cue, rng))
    judged = checked(replace(audited, found=accused))  # as if the cue were in the innocent class alone
    assert judged.control == "accused" and judged.found[0].word == "withheld"
    assert "all classes alike" in judged.found[0].reason and judged.found[0].reliance == 0
    assert control.CUE == "border"
