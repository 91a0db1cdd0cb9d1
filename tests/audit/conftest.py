"""What tests of the audit's further questions share."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from fishnet import ImageClassifier
from fishnet.audit.kinds import Views
from fishnet.audit.regions import elliptic
from fishnet.audit.sections import Audited
from fishnet.data.class_names import ClassNames
from fishnet.data.folder import PhotoFolder
from tests.support.edged import edged_audit, edged_folder
from tests.support.models import with_drawn_heads

CLASSES, SIDE, PHOTOS = ["bream", "pike", "perch"], 32, 24


@pytest.fixture
def audited():
    """Random photos, a network with random weights, and the middle of each photo as the animal's region."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    settings = {"filters": [8, 12, 16], "dense": 0}
    model = with_drawn_heads(
        ImageClassifier(classes=CLASSES, backbone="cnn", image_size=SIDE, backbone_args=settings)
    ).eval()
    images = torch.rand(PHOTOS, 3, SIDE, SIDE, generator=generator)
    regions = elliptic(PHOTOS, SIDE)
    labels = np.arange(PHOTOS) % 3
    photos = pd.DataFrame({"label": labels, "group": labels, "path": [f"{row}.jpg" for row in range(PHOTOS)]})
    return SimpleNamespace(
        model=model, measured=SimpleNamespace(photos=photos, classes=CLASSES, regions=regions), batch_size=5, seed=0,
        called=ClassNames(), views_of=lambda rows: Views(images[rows], regions.protected[rows][:, None]), images=images,
    )  # fmt: skip


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> PhotoFolder:
    """Photos of which a white edge gives one class away."""
    return edged_folder(tmp_path_factory.mktemp("edged"))


@pytest.fixture(scope="session")
def whole(folder, tmp_path_factory) -> Audited:
    """Of these, by a model that reads the edge."""
    return edged_audit(folder, tmp_path_factory.mktemp("effects"))
