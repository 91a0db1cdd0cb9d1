"""Out-of-fold layers: photos by heart are no evidence, all photos are donors, and what gives a class away is found."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fishnet import ImageClassifier
from fishnet.audit import out_of_fold
from fishnet.audit.carriers import training_carriers
from fishnet.audit.out_of_fold import FOLDS, audit_folds, check_folds
from fishnet.audit.page import audit_page
from fishnet.audit.regions import elliptic
from fishnet.audit.sections import Audited
from fishnet.audit.verdicts import verdicts
from fishnet.data.folder import PhotoFolder
from fishnet.data.listing import FolderSource
from fishnet.data.seen import SeenPhotos
from fishnet.errors import BadInput
from tests.support.models import with_drawn_heads

SIDE, EACH = 32, 45
CLASSES = ["blue", "green", "red"]


def network(**settings) -> ImageClassifier:
    """With random weights, of which nothing was trained here."""
    torch.manual_seed(0)
    args = {"filters": [8, 16], "dense": 0}
    model = ImageClassifier(classes=CLASSES, backbone="cnn", image_size=SIDE, backbone_args=args, **settings)
    return with_drawn_heads(model).eval()


def drawn(root, *, told: bool = True) -> PhotoFolder:
    """Classes by the colour of the middle (or, not `told`, by nothing); most photos of green have a bright edge. All
    were trained on; two photos make a group."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for number in range(EACH):
            photo = rng.integers(0, 110, (SIDE, SIDE, 3), dtype=np.uint8)
            if told:
                photo[12:20, 12:20, label] = 220
                if name == "green" and number % 4:
                    photo[:3] = photo[-3:] = 255
            Image.fromarray(photo).save(root / name / f"{number // 2:02d}_{number % 2}.png")
    plain = PhotoFolder(source=FolderSource(str(root)), group=r"(\d+)_", duplicates="ignore", cache="off")
    trained = pd.Series("train", index=plain.table.index)
    return replace(plain, seen=SeenPhotos.of(plain.table["sha256"], trained, "none"))


def audited(model, folder, stored, **changed):
    how = {"stored": stored, "about": {"model": "drawn"}, "most_donors": 80, "hosts": 4, "alpha": 0.05}
    regions_of = partial(lambda rows: elliptic(len(rows), SIDE))
    return audit_folds(model, folder, regions_of, batch_size=32, progress=False, **{**how, **changed})


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A frozen backbone, a folder that its layer was trained on, the audit, and where effects are kept."""
    home = tmp_path_factory.mktemp("folds")
    model, folder = network(freeze="backbone"), drawn(home / "photos")
    return model, folder, audited(model, folder, home / "effects"), home / "effects"


def test_every_photo_is_a_donor_and_the_class_that_its_edge_gives_away_is_found(judged):
    _, _, measured, _ = judged
    assert len(measured.donors) == measured.judged == 3 * EACH and measured.folds == FOLDS
    assert measured.accuracy > 0.9
    assert [verdict.word for verdict in verdicts(measured)] == ["nothing", "shortcut", "nothing"]


def test_effects_are_those_of_the_layer_that_does_not_know_the_donor(judged, tmp_path, monkeypatch):
    """No layer learns from a photo of the donor's fold, of its group, or of a host's group."""
    model, folder, *_ = judged
    seen, learned, kept = [], [], out_of_fold.effects_of

    def new_layer(classes, features, labels):
        learned.append({row for row, own in enumerate(everything) if (features == own).all(dim=1).any()})
        return torch.nn.Linear(features.shape[1], classes)

    def effects_of(judge, folder, part, **how):
        seen.append(part.rows[part.donors])
        return kept(judge, folder, part, **how)

    rows, features = out_of_fold.unlearned_features(model, folder, most=5000, batch_size=32, progress=False)
    everything = torch.from_numpy(features)
    monkeypatch.setattr(out_of_fold, "new_layer", new_layer)
    monkeypatch.setattr(out_of_fold, "effects_of", effects_of)
    again = audited(model, folder, tmp_path, most_donors=8)
    groups = folder.table["group"].to_numpy()
    hosts = set(groups[again.rows[again.hosts]])
    assert len(seen) == len(learned) == FOLDS and len(np.unique(np.concatenate(seen))) == 3 * 8
    for donors, known in zip(seen, learned, strict=True):
        known_groups = set(groups[rows[sorted(known)]])
        assert known_groups.isdisjoint(groups[donors]) and known_groups.isdisjoint(hosts)


def test_labels_that_nothing_tells_are_not_answered_by_heart(tmp_path):
    folder = drawn(tmp_path / "photos", told=False)
    measured = audited(network(freeze="backbone"), folder, tmp_path / "effects", most_donors=12)
    assert measured.accuracy < 0.5  # of three classes; a layer that knows the photos is right on all


def test_what_was_measured_is_not_measured_again(judged, monkeypatch):
    model, folder, measured, stored = judged

    def asked(self, donors):
        raise AssertionError("measured again")

    monkeypatch.setattr("fishnet.audit.exchange.Exchange.effects", asked)
    again = audited(model, folder, stored)
    assert np.array_equal(again.effects.logits, measured.effects.logits)
    assert np.array_equal(again.effects.labels, measured.photos["label"].to_numpy()[measured.donors])


def test_the_page_says_by_which_layers_it_was_judged(judged, tmp_path):
    model, folder, measured, _ = judged
    found = verdicts(measured)
    regions_of = partial(lambda rows: elliptic(len(rows), SIDE))
    how = {"stored": tmp_path, "about": {}, "progress": False}
    assert training_carriers(model, folder, measured, found, regions_of, **how).empty  # all were donors
    whole = Audited(model, folder, measured, found, pd.DataFrame(), tmp_path, batch_size=32, seed=0)
    page = audit_page(whole, name="small")
    assert "out-of-fold classifier layers" in page and "5 new classifier layers on the features" in page


def test_a_backbone_that_has_learned_from_the_photos_is_refused(judged):
    _, folder, *_ = judged
    with pytest.raises(BadInput, match=r"backbone was trained on 135 of these photos.*part=auto"):
        check_folds(network(), folder)
    check_folds(network(), replace(folder, seen=None))  # of which nothing is known
    check_folds(network(freeze="backbone"), folder)


def test_a_class_of_too_few_groups_is_named(judged, tmp_path):
    model, folder, *_ = judged
    with pytest.raises(BadInput, match="blue has too few groups"):
        audited(model, folder, tmp_path, hosts=130)
