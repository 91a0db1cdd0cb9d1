"""The smallest grid of the bench: what is plain is found, nothing else is, and the table goes on where it was ended."""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from experiments.planted_cues import bench, composites, pasting, summary


def run(monkeypatch, module, *arguments):
    monkeypatch.setattr(sys, "argv", ["", *map(str, arguments)])
    module.main()


@pytest.mark.slow
def test_the_tiny_grid_finds_what_was_planted_and_nothing_else(monkeypatch, tmp_path, capsys):
    out = tmp_path / "tiny.csv"
    run(monkeypatch, bench, "tiny", "--out", out, "--jobs", 2)
    table = summary.read([out])
    auto = table[table["region"] == "auto"]
    assert set(auto["chosen"]) == {"ellipse"}  # all fish of this grid are in the middle
    found = auto[auto["shortcut"]].set_index("cue")["class"].to_dict()
    assert {cue: found.get(cue) for cue in ("angler", "border")} == {"angler": 2, "border": 2}, auto.to_string()
    assert set(found) <= {"angler", "border", "tint"} and auto["shortcut"].sum() == len(found)
    whole = out.read_bytes()
    out.write_text("".join(line for line in out.open() if not line.startswith("tint")))
    run(monkeypatch, bench, "tiny", "--out", out, "--hours", 0)
    assert "tint" not in out.read_text() and len(out.read_bytes()) < len(whole)
    run(monkeypatch, summary, out)
    assert "centred, region=auto" in capsys.readouterr().out


def test_auto_is_the_region_that_the_audit_would_have_taken(tmp_path):
    """By what the middle leaves to a usual class, case by case; where a class stands out it alone is named."""
    common = {"cue": "", "control": "clean", "layout": "free", "flagged": True, "accuracy": 0.9}
    rows = [
        {**common, "case": case, "region": region, "usual": usual, "class": c, "share": low + 0.1, "share_low": low}
        for case, usual, first in (("kept", 0.01, 0.3), ("beyond", 0.2, 0.3), ("ahead", 0.2, 0.7))
        for region in ("ellipse", "learned")
        for c, low in enumerate((first, 0.3, 0.2) if region == "ellipse" else (0.0, 0.0, 0.03))
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "bench.csv", index=False)
    auto = summary.read([tmp_path / "bench.csv"]).query("region == 'auto'").set_index(["case", "class"])
    assert auto["chosen"].groupby("case").first().to_dict() == {
        "kept": "ellipse", "beyond": "learned", "ahead": "ellipse"
    }  # fmt: skip
    named = auto["shortcut"].groupby("case").agg(list).to_dict()
    assert named == {"kept": [True] * 3, "beyond": [False, False, True], "ahead": [True, False, False]}


def test_a_case_without_rows_leaves_the_table_as_it_was(tmp_path):
    bench.append(tmp_path / "a.csv", [])
    assert not (tmp_path / "a.csv").exists()
    bench.append(tmp_path / "a.csv", [{"case": "x", "p": 1}])
    bench.append(tmp_path / "a.csv", [])
    assert [*bench.read(tmp_path / "a.csv")] == [{"case": "x", "p": "1"}]
    named = [SimpleNamespace(name=name) for name in "xyz"]
    assert [case.name for case in bench.missing(named, tmp_path / "a.csv")] == ["y", "z"]


def test_true_boxes_need_half_the_share_that_estimates_need(tmp_path):
    common = {"cue": "", "control": "clean", "layout": "free", "flagged": True, "accuracy": 0.9, "share_low": 0.015}
    pd.DataFrame([{**common, "region": region} for region in ("boxes", "learned")]).to_csv(tmp_path / "t.csv")
    assert summary.read([tmp_path / "t.csv"])["shortcut"].tolist() == [True, False]


def test_a_pasted_animal_changes_nothing_outside_its_box():
    """Else the class would be known from more than the animal."""
    rng = np.random.default_rng(0)
    animals = [pasting.Animal(rng.integers(0, 255, (60, 90, 3), np.uint8), photo) for photo in range(3)]
    water = np.full((pasting.LARGE, pasting.LARGE, 3), 120, np.uint8)
    for label in range(len(pasting.VARIANTS)):
        for layout in composites.LAYOUTS:
            scene = pasting.Scene(label, pasting.placed(layout, np.arange(3), 0, rng), 0)
            photo = pasting.composed(scene, animals, water)
            changed = (photo.pixels != water).any(axis=2)
            assert changed.any() and not (changed & ~photo.boxes).any() and not (photo.animals & ~photo.boxes).any()


def test_water_is_carried_on_where_the_fish_was():
    """A frame that was turned, with its black corners and a fish in the middle."""
    y, x = np.mgrid[:120, :200]
    frame = np.where(np.abs((y - 60) + 0.2 * (x - 100))[..., None] < 50, [90, 120, 100], 0).astype(np.uint8)
    frame[((x - 100) / 60) ** 2 + ((y - 60) / 20) ** 2 < 1] = 20
    assert np.abs(pasting.without_fish(frame) - np.array([90.0, 120, 100])).max() < 3


def test_photos_of_an_animal_lie_in_one_half():
    groups = [0, 0, 1, 2, 2, 3, 4, 4, 5]
    first, second = composites.halves(groups, np.random.default_rng(0))
    assert sorted([*first, *second]) == list(range(9)) and len(first) and len(second)
    assert not {groups[row] for row in first} & {groups[row] for row in second}
