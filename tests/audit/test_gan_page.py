"""The sentences on what a classifier makes of generated photos."""

import numpy as np
import torch

from fishnet.audit.gan_judging import KINDS, Judged, Kind
from fishnet.audit.gan_page import sentences
from fishnet.measure.generated import OfHalves


def test_nothing_is_printed_as_less_than_nothing():
    photos = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    kind = Kind(photos, np.array([[0.9, 0.1], [0.2, 0.8]]), torch.zeros(2, 4))
    near = np.array([0.1, 0.2])
    judged = Judged(
        class_name="perch", label=0, classes=["perch", "pike"], kinds=dict.fromkeys(KINDS, kind), training=photos,
        training_paths=["a.jpg", "b.jpg"], feature_name="four numbers", judge_knows=0,
        halves=OfHalves(-0.0004, 0.1, 1.0), kid=-0.0001, fid=1.0, nearest=np.array([0, 1]), distances=near,
        held_out_distances=near,
    )  # fmt: skip
    said = " ".join(sentences(judged))
    assert "KID to held-out photos is 0.000; between two halves of the held-out ones it is 0.000." in said
