"""Cues: what they cover is what they draw, and the rest of the photo, the fish above all, stays as it is."""

import cv2
import numpy as np
import pytest

from fishnet.errors import BadInput
from fishnet.reef import SPECIES, settings
from fishnet.reef.cues import CUES
from fishnet.reef.photo import Photo, draw_photo

SOFT = np.ones((9, 9), np.uint8)  # soft edges, and those of photos that are out of focus or moved
LAID = [name for name, cue in CUES.items() if cue.where != "whole" and name not in ("angler", "background")]
WHOLE = [name for name, cue in CUES.items() if cue.where == "whole"]


def drawn(number: int, *cues: str, kind: str = "ladder_perch", size: int = 96, layout: str = "centred") -> Photo:
    species = SPECIES[kind]
    return draw_photo(species, seed=3, number=number, observation=number, size=size, cues=cues, layout=layout)


def changed(before: Photo, after: Photo) -> np.ndarray:
    return np.asarray((before.pixels != after.pixels).any(-1))


def grown(mask: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), SOFT) > 0)


def test_the_settings_name_every_cue_in_the_order_in_which_they_are_drawn() -> None:
    assert tuple(CUES) == settings.CUES


@pytest.mark.parametrize("layout", ["centred", "free"])
@pytest.mark.parametrize("cue", LAID)
def test_a_cue_changes_what_it_covers_and_nothing_else(cue: str, layout: str) -> None:
    seen = []
    for number in range(12):
        plain, planted = drawn(number, layout=layout), drawn(number, cue, layout=layout)
        covered = planted.covered[cue]
        assert not (changed(plain, planted) & ~grown(covered)).any()
        assert ((planted.mask == 2) == covered).all()
        assert (planted.mask == plain.mask)[~covered].all()
        if covered.any():
            seen.append(changed(plain, planted)[covered].mean())
    assert len(seen) >= 11
    assert np.mean(seen) > 0.97


@pytest.mark.parametrize("layout", ["centred", "free"])
def test_cues_lie_where_they_say(layout: str) -> None:
    for number in range(12):
        fish = drawn(number, layout=layout).mask == 1
        covered = drawn(number, "hand", "tag", "float", "ruler", "person", layout=layout).covered
        assert all(fish[covered[name]].all() for name in ("hand", "tag"))
        assert not any(fish[covered[name]].any() for name in ("float", "ruler", "person"))


def test_a_float_keeps_out_of_the_box_of_a_fish_that_leaves_room() -> None:
    for number in range(12):
        planted = drawn(number, "float", kind="arrow_pike")
        rows, columns = np.nonzero(drawn(number, kind="arrow_pike").mask)
        box = planted.covered["float"][rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert planted.covered["float"].mean() > 0.005
        assert box.sum() <= 3  # its tilted edge may


@pytest.mark.parametrize("cue", WHOLE)
def test_a_change_of_the_whole_photo_covers_nothing_and_keeps_the_fish_where_it_is(cue: str) -> None:
    for number in range(4):
        plain, planted = drawn(number), drawn(number, cue)
        assert not planted.covered[cue].any()
        assert (planted.mask == plain.mask).all()
        assert changed(plain, planted).mean() > 0.4


def test_another_place_is_the_same_for_all_and_the_fish_stays_as_it_is() -> None:
    water = []
    for number, kind in enumerate(["ladder_perch", "moon_bream"] * 4):
        plain, moved = drawn(number, kind=kind), drawn(number, "background", kind=kind)
        inside = cv2.erode((plain.mask == 1).astype(np.uint8), SOFT) > 0
        assert (plain.mask == moved.mask)[plain.mask == 1].all()
        assert ((moved.mask == 1) | moved.covered["background"]).all()
        assert not changed(plain, moved)[inside].any()
        water.append(moved.pixels[:24].mean((0, 1)))
    assert np.std([drawn(number).pixels[:24].mean() for number in range(8)]) > 2 * np.std(np.mean(water, axis=1))


def test_the_angler_holds_the_same_fish_before_any_place() -> None:
    held, moved = drawn(2, "angler"), drawn(2, "angler", "background")
    assert (held.covered["angler"] == moved.covered["angler"]).all()
    assert (moved.mask == 2).mean() > (held.mask == 2).mean() + 0.2
    inside = cv2.erode((held.mask == 1).astype(np.uint8), SOFT) > 0
    assert not changed(held, moved)[inside].any()


def test_cues_are_drawn_in_the_order_of_the_table_whatever_theirs_is() -> None:
    one, two = drawn(5, "tint", "float", "jpeg"), drawn(5, "jpeg", "float", "tint")
    assert (one.pixels == two.pixels).all()
    assert set(one.covered) == {"tint", "float", "jpeg"}
    assert (one.covered["float"] == drawn(5, "float").covered["float"]).all()


@pytest.mark.parametrize("cue", [name for name in CUES if name not in ("angler", "background")])
def test_a_cue_varies_between_photos_and_not_between_drawings(cue: str) -> None:
    photos = [drawn(number, cue).pixels.astype(int) - drawn(number).pixels for number in (0, 1)]
    assert (photos[0] != photos[1]).any()
    assert (drawn(0, cue).pixels == drawn(0, cue).pixels).all()


def test_a_cue_that_is_not_there_is_refused_and_not_left_out() -> None:
    with pytest.raises(BadInput, match="float"):
        drawn(0, "bobber")


@pytest.mark.parametrize("size", [32, 48])
def test_every_cue_fits_into_the_smallest_photos(size: int) -> None:
    for kind in SPECIES:
        photo = drawn(1, *CUES, kind=kind, size=size, layout="free")
        assert photo.pixels.shape == (size, size, 3)
