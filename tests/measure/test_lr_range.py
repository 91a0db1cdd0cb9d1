"""Which rate a range test chooses, on curves whose answer is known."""

import numpy as np
import pytest
from PIL import Image

from fishnet.measure.lr_range import draw_range, find_rate, smoothed

RATES = np.geomspace(1e-5, 2.5, 120)


def curve(fall_at: float, rise_at: float, noise: float = 0.02, seed: int = 0) -> np.ndarray:
    """Level at 1.1, falling to 0.3 around one rate, running away around another."""
    place = np.log10(RATES)
    level = 1.1 - 0.8 / (1 + np.exp(-6 * (place - np.log10(fall_at))))
    away = 8 / (1 + np.exp(-9 * (place - np.log10(rise_at))))
    return level + away + np.random.default_rng(seed).normal(0, noise, len(RATES))


@pytest.mark.parametrize("seed", range(5))
def test_the_rate_lies_between_the_fall_and_the_rise_and_the_steepest_at_the_fall(seed):
    found = find_rate(RATES, curve(1e-3, 0.3, seed=seed))
    assert found.calm
    assert 2e-3 < found.lr < 0.15
    assert 4e-4 < found.steepest < 2.5e-3
    assert 1.5e-3 < found.low <= found.lr <= found.high < 0.2  # on the floor between the fall and the rise
    assert found.high > 3 * found.low


def test_the_lowest_point_of_a_rough_stretch_is_not_chosen():
    losses = curve(1e-3, 10)
    rough = (RATES > 0.05) & (RATES < 0.4)
    losses[rough] += np.resize([0.4, -0.6], rough.sum())  # lower on the whole, and jumping
    assert rough[np.argmin(smoothed(losses))]
    found = find_rate(RATES, losses)
    assert found.calm
    assert not 0.05 < found.lr < 0.4


def test_at_the_brink_the_steepest_is_taken():
    falling = np.clip(np.log10(RATES) - np.log10(0.1), 0, None) * 2
    found = find_rate(RATES, 4 - falling)  # level, then falling to the very end
    assert not found.calm
    assert found.lr == found.steepest > 0.05


@pytest.mark.parametrize("losses", [np.full(120, 1.1), 1.1 + np.random.default_rng(0).normal(0, 0.1, 120)])
def test_a_loss_that_never_falls_tells_nothing(losses):
    assert not find_rate(RATES, losses).learnt


def test_smoothing_keeps_level_and_length():
    assert smoothed(np.full(50, 2.0)) == pytest.approx(np.full(50, 2.0))
    noise = np.random.default_rng(0).normal(0, 1, 100)
    assert len(smoothed(noise)) == 100
    assert smoothed(noise).std() < 0.5


@pytest.mark.parametrize("losses", [curve(1e-3, 0.3), np.full(120, 1.1)])
def test_the_picture_is_drawn_with_an_answer_and_without(tmp_path, losses):
    draw_range(RATES, losses, np.clip(1.2 - losses, 0, 1), find_rate(RATES, losses), tmp_path / "lr.png")
    with Image.open(tmp_path / "lr.png") as picture:
        assert picture.width > 600
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 20
