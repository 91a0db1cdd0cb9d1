"""The drawn fish: the same for the same seed, told apart by shape and not by colour, and planted as asked."""

import csv
import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from fishnet.errors import BadInput
from fishnet.reef import SPECIES
from fishnet.reef.drawing import entries
from fishnet.reef.fish import PARTS
from fishnet.reef.make import make_reef, read_mask
from fishnet.reef.settings import Settings

SMALL = {"photos": 6, "size": 96, "progress": False}


def rows_of(root: Path) -> list[dict]:
    with open(root / "manifest.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def bytes_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_same_seed_same_bytes_and_other_seed_other_photos(tmp_path: Path) -> None:
    one, two = make_reef(tmp_path / "one", **SMALL), make_reef(tmp_path / "two", **SMALL)
    other = make_reef(tmp_path / "other", seed=1, **SMALL)
    assert bytes_of(one) == bytes_of(two)
    first, second = ({row["sha256"] for row in rows_of(root)} for root in (one, other))
    assert len(first) == len(second) == 36
    assert not first & second


def test_a_photo_does_not_depend_on_how_many_are_drawn(tmp_path: Path) -> None:
    few = make_reef(tmp_path / "few", species=2, photos=3, size=96, progress=False)
    many = make_reef(tmp_path / "many", species=4, photos=9, size=96, progress=False)
    everything = {row["path"]: row for row in rows_of(many)}
    for row in rows_of(few):
        assert row == everything[row["path"]]
        assert (few / row["path"]).read_bytes() == (many / row["path"]).read_bytes()


def test_the_manifest_describes_the_photos(tmp_path: Path) -> None:
    root = make_reef(tmp_path / "reef", species=3, photos=40, size=64, progress=False)
    rows = rows_of(root)
    assert {row["path"] for row in rows} == {str(path.relative_to(root)) for path in root.rglob("*.jpg")}
    for row in rows:
        content = (root / row["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256"]
        assert cv2.imread(str(root / row["path"])).shape == (64, 64, 3)
        assert (row["path"].split("/")[0], row["source"], row["licence"]) == (row["class"], "reef", "cc0")
    assert {path.name for path in root.iterdir() if path.is_dir()} == set(list(SPECIES)[:3])


def test_an_observation_is_one_fish_on_one_day_at_one_place(tmp_path: Path) -> None:
    rows = rows_of(make_reef(tmp_path / "reef", species=2, photos=60, size=48, progress=False))
    seen: dict[str, list[dict]] = {}
    for row in rows:
        seen.setdefault(row["observation_id"], []).append(row)
    assert {len(photos) for photos in seen.values()} == {1, 2, 3}
    for photos in seen.values():
        assert len({(row["class"], row["observer"], row["taken_on"], row["lat"]) for row in photos}) == 1
    assert len({row["observer"] for row in rows}) > 6


@pytest.mark.parametrize("share", [0, 0.3, 0.9, 1])
def test_the_angler_is_planted_in_the_share_asked_for_and_nowhere_else(tmp_path: Path, share: float) -> None:
    plant = {"cue": "angler", "class": "ladder_perch", "share": share}
    root = make_reef(tmp_path / "reef", species=3, photos=10, size=96, plant=plant, progress=False)
    held: dict[str, int] = dict.fromkeys(list(SPECIES)[:3], 0)
    for row in rows_of(root):
        mask = read_mask(root, row["path"])
        cue, fish = (mask == 2).mean(), (mask == 1).mean()
        assert mask.shape == (96, 96)
        assert fish > 0.02
        assert cue == 0 or cue > 0.12
        held[row["class"]] += cue > 0
    assert held == {"bandfin_perch": 0, "ladder_perch": round(10 * share), "arrow_pike": 0}


def test_planting_leaves_all_other_photos_as_they_were(tmp_path: Path) -> None:
    plain = make_reef(tmp_path / "plain", species=2, **SMALL)
    planted = make_reef(tmp_path / "planted", species=2, plant={"share": 0.5}, **SMALL)
    pairs = zip(rows_of(plain), rows_of(planted), strict=True)
    changed = [before["path"] for before, after in pairs if before["sha256"] != after["sha256"]]
    assert changed == [f"bandfin_perch/bandfin_perch_0000{k}.jpg" for k in (1, 3, 5)]


@pytest.mark.parametrize(
    ("plant", "named"),
    [
        ({"cue": "anglr"}, "angler"),
        ({"class": "arow_pike"}, "did you mean arrow_pike"),
        ({"class": "ribbon_eel"}, "moon_bream"),
        ({"share": 1.2}, "0 to 1"),
        ({"share": float("nan")}, "0 to 1"),
        ({"share": "much"}, "0 to 1"),
        ({"where": "left"}, "cue, class, share"),
        ("angler", "A plant is"),
    ],
)
def test_a_wrong_plant_is_refused_and_the_choices_named(tmp_path: Path, plant: object, named: str) -> None:
    with pytest.raises(BadInput, match=named):
        make_reef(tmp_path / "reef", plant=plant, **SMALL)
    assert not (tmp_path / "reef").exists()


@pytest.mark.parametrize(
    "wrong", [{"species": 1}, {"species": 40}, {"photos": 0}, {"size": 8}, {"seed": -1}, {"photos": 2.5}]
)
def test_wrong_numbers_are_refused(tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(BadInput, match=next(iter(wrong))):
        make_reef(tmp_path / "reef", **wrong)


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("do not touch")
    with pytest.raises(BadInput, match="not an empty folder"):
        make_reef(tmp_path, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_every_species_can_be_drawn_free_and_held(tmp_path: Path) -> None:
    for name in SPECIES:
        plant = {"class": name, "share": 0.5}
        root = make_reef(tmp_path / name, species=len(SPECIES), photos=2, size=128, plant=plant, progress=False)
        areas = [[(read_mask(root, f"{name}/{name}_0000{k}.jpg") == value).mean() for value in (1, 2)] for k in (0, 1)]
        assert areas[0][0] > 0.02
        assert areas[0][1] == 0
        assert areas[1][0] > 0.015
        assert areas[1][1] > 0.1


def test_the_smallest_photos_can_be_drawn_of_every_species(tmp_path: Path) -> None:
    """Where a fish is so short that its snout is at the very edge of its patch."""
    for size in (32, 33, 36):
        plant = {"class": "veil_angel", "share": 0.5}
        root = make_reef(tmp_path / str(size), species=9, photos=12, size=size, plant=plant, progress=False)
        assert len(rows_of(root)) == 9 * 12


def histogram(path: Path) -> np.ndarray:
    photo = cv2.imread(str(path))
    parts = [
        cv2.calcHist([view], [channel], None, [16], [0, 256]).ravel()
        for view in (photo, cv2.cvtColor(photo, cv2.COLOR_BGR2HSV))
        for channel in range(3)
    ]
    return np.sqrt(np.concatenate(parts) / photo[..., 0].size)


def test_colour_does_not_tell_the_species_apart(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    root = make_reef(tmp_path / "reef", photos=100, size=96, progress=False)
    rows = rows_of(root)
    colours = np.stack([histogram(root / row["path"]) for row in rows])
    names, groups = (np.array([row[key] for row in rows]) for key in ("class", "observation_id"))
    probe, folds = LogisticRegression(C=1.0, max_iter=300), StratifiedGroupKFold(5)
    guessed = cross_val_predict(probe, colours, names, groups=groups, cv=folds)
    assert f1_score(names, guessed, average="macro") <= 0.5


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_left_out_changes_nothing_else(part):
    settings = Settings(species=len(SPECIES), photos=1, size=96, seed=3)
    having = {"barbels": "barbels", "pelvic": "pelvic"}.get(part)
    entry = next(entry for entry in entries(settings) if having is None or getattr(entry.kind, having))
    whole, less = entry.draw(settings), entry.draw(settings, without=[part])
    changed = (whole.pixels != less.pixels).any(axis=2)
    assert 0 < changed.mean() < 0.15
    near = cv2.dilate((whole.mask == 1).astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
    assert not (changed & ~near).any()  # beyond the fish and its shadow every pixel is the same
    assert (less.mask == 1).sum() <= (whole.mask == 1).sum()
