"""Maps whose rightness is known by their making."""

import numpy as np
import pytest
import torch

from fishnet.explain.scores import FIGURES, score_maps


def scene(photos: int = 12, side: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """Photos, and masks of a box that lies elsewhere in each."""
    rng = np.random.default_rng(0)
    masks = torch.zeros(photos, side, side)
    for mask in masks:
        top, left = rng.integers(0, side // 2, 2)
        mask[top : top + side // 2, left : left + side // 4] = 1
    return torch.zeros(photos, 3, side, side, dtype=torch.uint8), masks


def test_the_mask_itself_is_perfect_and_its_opposite_as_wrong_as_can_be():
    photos, masks = scene()
    queue = iter(masks.split(32))
    best = score_maps(lambda asked: next(queue), photos, masks)
    assert set(best) == set(FIGURES)
    assert [best[name].value for name in ("pointing", "mass", "overlap", "rank", "cold")] == [1, 1, 1, 1, 0]
    assert best["pointing"].chance == pytest.approx(1 / 8)
    queue = iter((1 - masks).split(32))
    worst = score_maps(lambda asked: next(queue), photos, masks)
    assert [worst[name].value for name in ("pointing", "mass", "overlap", "rank")] == [0, 0, 0, 0]


def test_a_map_of_noise_has_what_chance_has():
    photos, masks = scene(200)
    generator = torch.Generator().manual_seed(0)
    found = score_maps(lambda asked: torch.randn(len(asked), 32, 32, generator=generator), photos, masks)
    for name in ("pointing", "mass", "rank", "overlap"):
        assert found[name].value == pytest.approx(found[name].chance, abs=0.06), name
        assert found[name].low < found[name].value < found[name].high


def test_a_map_without_evidence_is_cold_and_not_right():
    photos, masks = scene()
    found = score_maps(lambda asked: -torch.ones(len(asked), 4, 4), photos, masks)
    assert found["cold"].value == 1 and found["pointing"].value == 0 and found["rank"].value == 0.5


def test_a_single_photo_has_no_interval():
    photos, masks = scene(1)
    (found,) = {score.ends for score in score_maps(lambda asked: masks, photos, masks).values()}
    assert found is None
    from fishnet.explain.contact import scores_chapter
    from fishnet.page.page import render_page

    page = render_page("maps", "", [scores_chapter(score_maps(lambda asked: masks, photos, masks))])
    assert "nan" not in page and "–" in page
