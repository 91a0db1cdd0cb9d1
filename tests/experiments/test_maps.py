"""The benchmark of maps: exact interventions, and an oracle that no map can beat."""

import numpy as np
import pytest
import torch

from experiments.maps import bench, tetrominoes
from experiments.maps.methods import methods
from experiments.maps.reef import CUE, FILTERS, SIDE, plan, split
from fishnet import ImageClassifier


@pytest.fixture(scope="module")
def known():
    """Facts of six photos and a network that knows nothing."""
    torch.manual_seed(0)
    reef = plan()
    settings = {"filters": FILTERS, "dense": 0}
    names = [kind.name for kind in reef.settings.kinds]
    model = ImageClassifier(classes=names, backbone="cnn", backbone_args=settings, image_size=SIDE).eval()
    rows = split(reef)[2][::30]
    return reef, model, bench.facts(reef, model, rows)


def test_an_observation_is_in_one_part(known):
    parts = split(known[0])
    observed = [{(known[0].labels[row], known[0].planned[row].observation.number) for row in part} for part in parts]
    assert not (observed[0] & observed[1] or observed[0] & observed[2] or observed[1] & observed[2])


def test_an_oracle_is_right_and_a_blank_map_says_nothing(known):
    reef, model, facts = known
    maps = [
        sum(drop * mask / mask.sum() for drop, mask in zip(drops, masks, strict=True))
        for drops, masks in zip(facts.drops, facts.masks, strict=True)
    ]
    values = bench.importances(torch.from_numpy(np.stack(maps)), facts)
    found = [bench.correlation(own, drops) for own, drops in zip(values, facts.drops, strict=True)]
    assert np.mean(found) > 0.85  # parts overlap a little
    assert bench.correlation(np.zeros(5), np.arange(5.0)) == 0
    preserved, *_ = bench.checks(reef, model, facts, values, -1.0)  # everything is important
    assert (preserved == 1).all()


def test_things_are_masks_of_what_they_change(known):
    reef, _, facts = known
    for row, things, masks in zip(facts.rows, facts.things, facts.masks, strict=True):
        for thing, mask in zip(things, masks, strict=True):
            changed = (reef.draw(row) != reef.draw(row, [thing])).any(axis=2)
            assert mask.any() and not (mask & ~changed).any()
    planted = [row for row in range(len(reef.planned)) if reef.labels[row] == 0 and CUE in reef.things(row)]
    assert len(planted) > 100


def test_every_method_makes_maps(known):
    _, model, facts = known
    for name, method in methods(model, slow=False).items():
        maps = method(facts.images[:2], facts.answers[:2])
        assert maps.ndim == 3 and len(maps) == 2 and torch.isfinite(maps).all(), name


def test_tetrominoes_lie_where_the_truth_says():
    rng = np.random.default_rng(0)
    for scenario in ("linear", "multiplicative", "rigid", "xor"):
        images, truth, labels = tetrominoes.drawn(scenario, "white", 20, rng)
        assert images.shape == (20, 3, 8, 8) and set(labels) == {0, 1}
        assert set(truth.sum(axis=(1, 2))) == ({8} if scenario == "xor" else {4})
    mask = truth[0]
    assert tetrominoes.precision(mask.astype(float), mask) == 1 and tetrominoes.earth_moved(mask * 1.0, mask) < 1e-6
    assert tetrominoes.earth_moved((~mask).astype(float), mask) > 0.05
