"""The free layout: fish off the middle, of very different sizes, some cut by the frame, some of them two."""

import cv2
import numpy as np
import pytest

from fishnet.errors import BadInput
from fishnet.reef import Settings
from fishnet.reef.drawing import entries

FREE = Settings(species=6, photos=50, size=96, layout="free")


@pytest.fixture(scope="module")
def masks() -> np.ndarray:
    return np.stack([entry.draw(FREE).mask for entry in entries(FREE)])


def boxes(mask: np.ndarray) -> list[np.ndarray]:
    """x, y, width and height of each fish; specks of fins that the frame cuts off do not count."""
    _, _, found, _ = cv2.connectedComponentsWithStats((mask == 1).astype(np.uint8))
    return [box[:4] for box in found[1:] if box[4] > 12]


def is_cut(mask: np.ndarray) -> bool:
    return bool((mask[[0, -1]] == 1).any() or (mask[:, [0, -1]] == 1).any())


def test_a_fifth_is_cut_by_the_frame_and_a_fifth_shows_two(masks: np.ndarray) -> None:
    assert 0.14 < np.mean([is_cut(mask) for mask in masks]) < 0.27
    assert 0.1 < np.mean([len(boxes(mask)) > 1 for mask in masks]) < 0.26
    assert (masks == 1).mean((1, 2)).min() > 0.005


def test_whole_single_fish_are_of_all_sizes_and_off_the_middle(masks: np.ndarray) -> None:
    single = [boxes(mask)[0] for mask in masks if not is_cut(mask) and len(boxes(mask)) == 1]
    sizes = np.array([max(box[2:]) / 96 for box in single])
    assert sizes.min() > 0.25
    assert sizes.max() < 0.99
    assert np.histogram(sizes, [0.28, 0.5, 0.72, 0.96])[0].min() > 0.2 * len(sizes)
    offsets = np.array([np.abs(box[:2] + box[2:] / 2 - 48).max() / 96 for box in single])
    assert np.median(offsets[sizes < 0.7]) > 0.15
    assert np.mean(offsets[sizes < 0.7] < 0.05) < 0.05


def test_two_fish_are_two_of_a_species_that_do_not_hide_each_other(masks: np.ndarray) -> None:
    pairs = [boxes(mask) for mask in masks if len(boxes(mask)) == 2]
    away = [np.abs((one[:2] + one[2:] / 2) - (two[:2] + two[2:] / 2)).max() for one, two in pairs]
    assert np.median(away) > 0.4 * 96


def test_the_angler_holds_a_fish_off_the_middle_too() -> None:
    settings = Settings(photos=8, size=96, layout="free")
    held = [entry.draw(settings, cues=["angler"]).mask for entry in entries(settings)]
    middles = np.array([np.argwhere(mask == 1).mean(0) / 96 for mask in held])
    assert np.ptp(middles, axis=0).min() > 0.15


def test_a_centred_fish_stays_in_the_middle() -> None:
    settings = Settings(species=6, photos=8, size=96)
    for entry in entries(settings):
        rows, columns = np.nonzero(entry.draw(settings).mask)
        assert abs(columns.mean() - 48) < 16
        assert abs(rows.mean() - 48) < 16


def test_a_layout_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadInput, match="did you mean centred"):
        Settings(layout="centered")
