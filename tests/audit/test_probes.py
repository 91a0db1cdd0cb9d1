"""Probes before any training: what is planted beside the animal is named, and what is not is left alone."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from fishnet.audit import surroundings
from fishnet.audit.probes import findings_of, probe_folder
from fishnet.data.checks import read_folder
from fishnet.images import load_pixels

SETTINGS = {
    **{"manifest": None, "curation": None, "classes": None, "positive": None, "group": "none"},
    **{"max_refused": 0.1, "val": 0.15},
    **{"test": 0.15, "folds": None, "fold": None, "seed": 0, "duplicates": "group", "split_file": None},
}


def draw_folder(root, photos=40):
    """Animals in the middle of scenes that have nothing to do with them: a disc, a box, a bar."""
    for label, name in enumerate(("disc", "box", "bar")):
        (root / name).mkdir(parents=True)
        for number in range(photos):
            rng = np.random.default_rng((label, number))
            scene = rng.integers(40, 200, (4, 4, 3), np.uint8)
            photo = Image.fromarray(scene).resize((64, 64), Image.Resampling.BICUBIC)
            pen, (x, y) = ImageDraw.Draw(photo), rng.integers(28, 37, 2)
            colour = tuple(rng.integers(180, 256, 3).tolist())
            across, down = [(8, 8), (8, 8), (20, 2)][label]
            draw = [pen.ellipse, pen.rectangle, pen.rectangle][label]
            draw((x - across, y - down, x + across, y + down), outline=colour, width=3)
            photo.save(root / name / f"{number:03d}.jpg", quality=90)
    return root


@pytest.fixture
def root(tmp_path):
    return draw_folder(tmp_path / "photos")


def probed(root, **masks):
    folder = read_folder(str(root), SETTINGS, progress=False)
    images = lambda rows: [load_pixels(root / folder.table["path"].iloc[row])[0] for row in rows]  # noqa: E731
    return probe_folder(folder, images, **masks)


def named(table):
    """Each probe that alarms, with the classes that it names."""
    alarms = table[table["alarm"] & (table["class"] != "")]
    return {probe: set(rows["class"]) for probe, rows in alarms.groupby("probe")}


def every_second(folder, change):
    for photo in sorted(folder.iterdir())[::2]:
        change(Image.open(photo)).save(photo, quality=90)


def test_nothing_planted_is_nothing_named_and_what_sees_the_animal_only_reports(root):
    table = probed(root)
    assert not named(table)
    whole = table[table["class"] == ""].set_index("probe")
    assert set(whole.index) == {
        *("border ring", "outside colour", "outside texture", "grey thumbnail", "colour thumbnail", "bytes a pixel")
    }  # files are coded alike, and there is no manifest
    assert whole.loc["grey thumbnail", "accuracy"] > 1.2 * whole.loc["grey thumbnail", "guessing"]
    assert {line.weight for line in findings_of(table)} == {"notes"}


def test_a_border_in_half_of_a_class_is_named_with_the_class(root):
    every_second(root / "bar", lambda photo: ImageOps.expand(photo.crop((4, 4, 60, 60)), 4, fill=(200, 30, 30)))
    table = probed(root)
    assert named(table)["border ring"] == {"bar"}
    (line,) = [line for line in findings_of(table) if line.text.startswith("border ring")]
    assert line.weight == "warns" and "what stands out is bar (" in line.text and "[prior C]" in line.text
    share = table[(table["probe"] == "border ring") & (table["class"] == "")]["accuracy"].item()
    assert f"names the class of {share:.0%} of the photos, guessing 33%" in line.text


def test_a_colour_cast_in_a_class_is_named(root):
    def reddened(photo):
        red, *others = photo.split()
        return Image.merge("RGB", [red.point(lambda value: 2 * value), *others])

    every_second(root / "disc", reddened)
    table = probed(root).query("probe == 'outside colour' and alarm and `class` != ''")
    assert table.sort_values("bits")["class"].iloc[-1] == "disc"


def test_what_the_mask_of_the_animal_covers_is_not_looked_at():
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 255, (120, 160, 3), np.uint8)
    animal = np.zeros((120, 160), bool)
    animal[:40, 100:] = True  # in a corner, across the border
    other = photo.copy()
    other[animal] = (250, 10, 10)
    free = surroundings.outside_mask(animal)
    for look in (surroundings.border_ring, surroundings.outside_colour):
        first, second = (look(surroundings.small_copy(each), free) for each in (photo, other))
        assert np.allclose(first, second, atol=1e-3)
    assert not np.allclose(*(surroundings.border_ring(surroundings.small_copy(p), free | True) for p in (photo, other)))


def test_animals_that_fill_their_photos_leave_nothing_to_look_at(root):
    full = np.ones((64, 64), bool)
    some = probed(root, masks=lambda row: full if row % 3 == 0 else ~full)
    every = probed(root, masks=lambda row: full)
    assert np.isfinite(some["bits"]).all() and "outside colour" in set(some["probe"])
    assert set(every["probe"]) == {"grey thumbnail", "colour thumbnail", "bytes a pixel"}


def test_size_and_shape_of_the_same_photos_are_named(root):
    for number, photo in enumerate(sorted((root / "box").iterdir())):
        Image.open(photo).resize((64, 48) if number % 8 else (64, 64)).save(photo)
    table = probed(root)
    assert named(table)["file coding"] == {"box"}


def test_the_manifest_names_observers_places_and_months(root):
    rows = ["path,observer,taken_on,lat,lon"]
    rng = np.random.default_rng(0)
    for photo in sorted(root.glob("*/*.jpg")):
        whose = "Ann" if photo.parent.name == "bar" and rng.random() < 0.8 else f"Bob {rng.integers(4)}"
        lat, lon = (47.2, 13.1) if photo.parent.name == "box" else (47 + rng.integers(3), 13 + rng.integers(3))
        rows.append(f"{photo.parent.name}/{photo.name},{whose},2024-{rng.integers(1, 13):02d}-01,{lat},{lon}")
    (root / "manifest.csv").write_text("\n".join(rows))
    table = probed(root)
    assert named(table) == {"observer": {"bar"}, "place": {"box"}}
    assert {"observer", "place", "month"} <= set(table["probe"]) and "source" not in set(table["probe"])
    assert set(table[table["probe"] == "observer"]["prior"]) == {"B"}


def test_too_few_groups_are_not_probed(tmp_path):
    root = draw_folder(tmp_path / "few", photos=4)
    assert probed(root).empty and not [*findings_of(probed(root))]
