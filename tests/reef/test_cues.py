"""Cues are layers: what they cover is what they draw, and Settings names all of them."""

import numpy as np
import pytest

from fishnet.reef import settings
from fishnet.reef.cues import CUES, overlay

GRIPS = np.array([[40.0, 80.0], [90.0, 82.0]])


def test_the_settings_name_every_cue():
    assert set(settings.CUES) == set(CUES)


@pytest.mark.parametrize("name", CUES)
def test_a_cue_draws_layers_and_the_mask_of_each_is_where_it_covers(name):
    rng = np.random.default_rng(0)
    for layer in CUES[name](rng).layers(128, GRIPS, 30.0, rng):
        assert layer.dtype == np.uint8 and layer.ndim == 3 and layer.shape[2] == 4
        photo = np.full((128, 128, 3), 7, np.uint8)
        covered = overlay(photo, layer)
        assert 0.01 < covered.mean() < 0.9
        assert (photo[~covered] == 7).all(axis=-1).mean() > 0.9  # but for the soft edges
        assert (photo[covered] != 7).any(axis=-1).mean() > 0.99
