"""The smallest grid of the bench: what is plain is found, nothing else is, and the table goes on where it was ended."""

import sys
from types import SimpleNamespace

import pandas as pd
import pytest

from experiments.planted_cues import bench, summary


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
    """By what the middle leaves to a usual class, case by case."""
    common = {"cue": "", "control": "clean", "layout": "free", "flagged": True, "accuracy": 0.9, "class": 0}
    rows = [
        {**common, "case": case, "region": region, "usual": usual, "share_low": low}
        for case, usual in (("kept", 0.01), ("beyond", 0.2))
        for region, low in (("ellipse", 0.3), ("learned", 0.0))
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "bench.csv", index=False)
    auto = summary.read([tmp_path / "bench.csv"]).query("region == 'auto'").set_index("case")
    assert auto["chosen"].to_dict() == {"kept": "ellipse", "beyond": "learned"}
    assert auto["shortcut"].to_dict() == {"kept": True, "beyond": False}


def test_a_case_without_rows_leaves_the_table_as_it_was(tmp_path):
    bench.append(tmp_path / "a.csv", [])
    assert not (tmp_path / "a.csv").exists()
    bench.append(tmp_path / "a.csv", [{"case": "x", "p": 1}])
    bench.append(tmp_path / "a.csv", [])
    assert [*bench.read(tmp_path / "a.csv")] == [{"case": "x", "p": "1"}]
    named = [SimpleNamespace(name=name) for name in "xyz"]
    assert [case.name for case in bench.missing(named, tmp_path / "a.csv")] == ["y", "z"]
