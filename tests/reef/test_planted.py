"""Which photos carry which cues: as many as asked for, wherever else a leak wants them, and the manifest says so."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from fishnet.data.reef import ReefData
from fishnet.errors import BadInput
from fishnet.reef import SPECIES, Settings
from fishnet.reef.drawing import drawn_photos, entries
from fishnet.reef.make import make_reef, read_mask

NAMES = list(SPECIES)[:3]


def carried(photos: int = 100, **settings: object) -> Counter[tuple[str, str]]:
    """How many photos of each class carry each cue."""
    every = entries(Settings(species=3, photos=photos, **settings))
    return Counter((entry.kind.name, cue) for entry in every for cue in entry.cues)


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.5, 0.8, 0.94, 1])
def test_the_share_and_the_leak_of_every_plant_are_exact(share: float) -> None:
    plants = [
        {"cue": "tint", "class": NAMES[1], "share": 0.5},
        {"cue": "float", "class": NAMES[0], "share": share, "leak": 0.04},
        {"cue": "tag", "class": "all", "share": share},
    ]
    for plant in (plants, plants[::-1]):
        counts = carried(plant=plant)
        assert [counts[name, "float"] for name in NAMES] == [round(100 * share), 4, 4]
        assert [counts[name, "tag"] for name in NAMES] == [round(100 * share)] * 3
        assert [counts[name, "tint"] for name in NAMES] == [0, 50, 0]


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.8, 0.3), (0.9, 0.9)])
def test_two_cues_of_a_class_go_together_as_often_as_by_chance(shares: tuple[float, float]) -> None:
    plant = [{"cue": "float", "share": shares[0]}, {"cue": "tag", "share": shares[1]}]
    settings = Settings(species=3, photos=1000, plant=plant)
    both = sum(entry.cues == ("float", "tag") for entry in entries(settings)) / 1000
    assert abs(both - shares[0] * shares[1]) < 0.05


def test_a_photo_keeps_its_cues_however_many_are_drawn() -> None:
    plant = [{"cue": "tint", "share": 0.4, "leak": 0.1}, {"cue": "float", "class": "all", "share": 0.7}]
    few, many = (entries(Settings(species=2, photos=photos, plant=plant)) for photos in (7, 60))
    cues = {entry.name: entry.cues for entry in many}
    assert all(entry.cues == cues[entry.name] for entry in few)


def test_what_existed_keeps_its_digest_and_what_is_new_has_another() -> None:
    pike = {"species": 4, "photos": 30, "size": 64, "seed": 2, "plant": {"class": "arrow_pike", "share": 0.5}}
    assert Settings().digest == "4b774da0f0b8"
    assert Settings(plant={"cue": "angler"}).digest == "9e2b5a706d13"
    assert Settings(**pike).digest == "7c74b056a92c"
    one = {"cue": "angler"}
    alike = [Settings(plant=plant).digest for plant in (one, [one], {**one, "leak": 0}, {**one, "share": 0.9})]
    assert set(alike) == {"9e2b5a706d13"}
    assert Settings(photos=dict.fromkeys(list(SPECIES)[:6], 150), layout="centred").digest == Settings().digest
    other = [
        Settings(plant={**one, "leak": 0.1}),
        Settings(plant=[one, {"cue": "tag"}]),
        Settings(plant=[{"cue": "tag"}, one]),
        Settings(plant={"class": "all"}),
        Settings(layout="free"),
        Settings(photos=dict.fromkeys(list(SPECIES)[:5], 150) | {list(SPECIES)[5]: 9}),
    ]
    assert len({settings.digest for settings in other} | {"9e2b5a706d13", "4b774da0f0b8"}) == len(other) + 2


def test_classes_may_have_different_numbers_of_photos(tmp_path: Path) -> None:
    photos = {NAMES[0]: 9, NAMES[1]: 1}
    root = make_reef(tmp_path / "reef", species=2, photos=photos, size=48, progress=False)
    assert {name: len(list((root / name).iterdir())) for name in photos} == photos
    data = ReefData(root=str(tmp_path), species=2, photos=photos)
    assert data.folder.source.counts() == photos


@pytest.mark.parametrize("photos", [{NAMES[0]: 9}, {NAMES[0]: 9, "boot": 3}, {NAMES[0]: 9, NAMES[1]: 0}, {}])
def test_numbers_that_do_not_fit_the_species_are_refused(photos: dict) -> None:
    with pytest.raises(BadInput, match="photos"):
        Settings(species=2, photos=photos)


@pytest.mark.parametrize(
    ("plant", "named"),
    [
        ([{"cue": "tagg"}], "hand, tag, vignette"),
        ([{"cue": "tag"}, {"cue": "float", "class": "al"}], "all"),
        ({"leak": 2}, "0 to 1"),
        (["tag"], "A plant is"),
    ],
)
def test_a_wrong_plant_of_a_list_is_refused(plant: object, named: str) -> None:
    with pytest.raises(BadInput, match=named):
        Settings(plant=plant)


def test_the_manifest_names_the_cues_of_each_photo_and_the_mask_shows_them(tmp_path: Path) -> None:
    plant = [{"cue": "float", "class": NAMES[0], "share": 0.5}, {"cue": "tint", "class": "all", "share": 0.5}]
    root = make_reef(tmp_path / "reef", species=2, photos=8, size=64, plant=plant, progress=False)
    with open(root / "manifest.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = entries(Settings(species=2, photos=8, size=64, plant=plant))
    assert [row["cues"] for row in rows] == ["+".join(entry.cues) for entry in expected]
    assert {row["cues"] for row in rows} == {"", "float", "tint", "float+tint"}
    for row in rows:
        assert (read_mask(root, row["path"]) == 2).any() == ("float" in row["cues"])


def test_a_reef_without_plants_has_no_such_column(tmp_path: Path) -> None:
    root = make_reef(tmp_path / "reef", species=2, photos=2, size=48, progress=False)
    assert (root / "manifest.csv").read_text().splitlines()[0].endswith("fetched_at")


def test_a_reef_is_drawn_without_files_and_again_with_other_cues() -> None:
    settings = Settings(species=2, photos=6, size=64, plant={"cue": "float", "share": 0.5})
    drawn = list(drawn_photos(settings))
    assert [entry for entry, _ in drawn] == entries(settings)
    for entry, photo in drawn:
        assert (entry.draw(settings).pixels == photo.pixels).all()
        plain, other = entry.draw(settings, cues=()), entry.draw(settings, cues=["tag"])
        assert (plain.pixels == photo.pixels).all() == (not entry.cues)
        assert (plain.mask > 0).sum() == (other.mask > 0).sum()
