"""Planting into any photo: the cue is where it says, the animal is kept or hit as it says, and nothing else changes."""

import cv2
import numpy as np
import pytest

from fishnet.audit.planting import PLANTABLE, plant
from fishnet.errors import BadInput
from fishnet.reef.cues import CUES

SHAPES = [(120, 160), (200, 90), (33, 33)]
LAID = [cue for cue in PLANTABLE if CUES[cue].where != "whole"]
ON = [cue for cue in LAID if CUES[cue].where == "on"]
BEHIND = [cue for cue in LAID if CUES[cue].where == "off" and not CUES[cue].after_camera]


def photo(shape: tuple[int, int]) -> np.ndarray:
    """Soft noise in muted colours, as different from a cue as most photos are."""
    noise = np.random.default_rng(0).integers(60, 150, (*shape, 3)).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2))


def animal(shape: tuple[int, int], x: float = 0.5, y: float = 0.5, width: float = 0.3, turn: float = 20) -> np.ndarray:
    mask, (rows, columns) = np.zeros(shape, np.uint8), shape
    axes = int(width * columns), int(0.4 * width * rows)
    cv2.ellipse(mask, (int(x * columns), int(y * rows)), axes, turn, 0, 360, 1, cv2.FILLED)
    return mask > 0


def grown(mask: np.ndarray, by: int = 7) -> np.ndarray:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((by, by), np.uint8)) > 0)


def test_all_but_the_cues_that_need_the_reef_can_be_planted() -> None:
    assert set(CUES) - set(PLANTABLE) == {"angler", "background"}
    for cue in ("angler", "waterm"):
        with pytest.raises(BadInput, match="cannot be planted"):
            plant(photo((64, 64)), cue, np.random.default_rng(0))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cue", LAID)
def test_a_cue_changes_what_it_covers_and_nothing_else(cue: str, shape: tuple[int, int]) -> None:
    before = photo(shape)
    kept = before.copy()
    for seed in range(5):
        after, covered = plant(before, cue, np.random.default_rng(seed), animal=animal(shape))
        changed = (after != before).any(-1)
        assert (after.shape, after.dtype, covered.shape, covered.dtype) == (before.shape, np.uint8, shape, bool)
        assert covered.any()
        assert (changed & ~grown(covered)).sum() <= 4  # the very tip of an elbow
        assert changed[covered].mean() > 0.95
    assert (before == kept).all()


@pytest.mark.parametrize("cue", [cue for cue in PLANTABLE if cue not in LAID])
def test_a_change_of_the_whole_photo_covers_nothing(cue: str) -> None:
    before = photo((120, 160))
    after, covered = plant(before, cue, np.random.default_rng(0))
    assert not covered.any()
    assert after.shape == before.shape
    assert (after != before).any(-1).mean() > 0.5


@pytest.mark.parametrize("given", [True, False])
def test_cues_on_the_animal_lie_on_it_and_the_others_spare_it(given: bool) -> None:
    shape, before = (140, 180), photo((140, 180))
    y, x = np.linspace(-0.5, 0.5, 140)[:, None], np.linspace(-0.5, 0.5, 180)
    middle = (x / 0.46) ** 2 + (y / 0.31) ** 2 <= 1
    for seed in range(10):
        rng = np.random.default_rng(seed)
        mask = animal(shape, *rng.uniform(0.3, 0.7, 2), turn=rng.uniform(-60, 60)) if given else middle
        for cue in (*ON, *BEHIND):
            after, covered = plant(before, cue, np.random.default_rng(seed), animal=mask if given else None)
            assert (mask[covered]).all() == (cue in ON)
            assert cue in ON or not mask[covered].any()
            inside = mask & ~grown(~mask, 3)
            assert cue in ON or (after == before)[inside].all()


def test_a_float_keeps_out_of_the_animals_box_where_there_is_room() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        mask = animal((160, 160), *rng.uniform(0.25, 0.75, 2), width=0.25)
        _, covered = plant(photo((160, 160)), "float", rng, animal=mask)
        rows, columns = np.nonzero(mask)
        inside = covered[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert covered.sum() > 200
        assert inside.sum() <= 0.02 * covered.sum()  # its tilted edge may


def test_a_tag_lies_along_the_animal_and_on_only_one_of_two() -> None:
    shape = (160, 160)
    low, high = animal(shape, 0.3, 0.25, turn=0), animal(shape, 0.7, 0.75, turn=70)
    for seed in range(10):
        _, covered = plant(photo(shape), "tag", np.random.default_rng(seed), animal=low | high)
        assert (low & covered).any() != (high & covered).any()


@pytest.mark.parametrize("share", [0, 1])
def test_no_animal_and_nothing_but_animal_are_no_failure(share: int) -> None:
    everywhere = np.full((64, 64), bool(share))
    for cue in PLANTABLE:
        after, covered = plant(photo((64, 64)), cue, np.random.default_rng(0), animal=everywhere)
        assert after.shape == (64, 64, 3)
        assert share or cue not in ON or not covered.any()


@pytest.mark.parametrize("cue", PLANTABLE)
def test_a_generator_decides_and_nothing_else(cue: str) -> None:
    one, two, other = (plant(photo((96, 96)), cue, np.random.default_rng(seed))[0] for seed in (1, 1, 2))
    assert (one == two).all()
    assert (one != other).any()
