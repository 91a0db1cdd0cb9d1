"""The command that collects photos without a cue, and two audits side by side."""

import shlex
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fishnet.audit.counterexamples import counterexamples_section, fewer_carriers
from fishnet.audit.page import audit_page
from fishnet.audit.rounds import read_round, rounds_section
from fishnet.audit.tables import verdict_table
from fishnet.collect.plan import Plan
from fishnet.config.compose import compose
from fishnet.config.quoting import quoted
from fishnet.config.validate import validate
from fishnet.data.class_names import ClassNames
from fishnet.errors import BadInput


def composed(section):
    """The settings of the one command that the section prints, as `fishnet collect` takes them."""
    (code,) = [block.text for block in section.chapter.blocks if block.kind == "code"]
    program, verb, *settings = shlex.split(code)
    assert (program, verb) == ("fishnet", "collect")
    config = compose("collect", [quoted(setting, "collect") for setting in settings])
    validate(config, "collect")
    return config


def test_the_printed_command_is_one_that_collect_takes(whole):
    config = composed(counterexamples_section(whole))
    assert config.taxa == "class 2" and config.limit == max(40, whole.photos["carries"].sum())
    Plan(**config)
    assert "fishnet collect" in audit_page(whole, name="border", sections=[counterexamples_section(whole)])


def test_a_collected_folder_is_asked_by_the_number_of_its_species(whole, tmp_path):
    class Elsewhere:
        root, table, names = tmp_path, whole.folder.table, ClassNames({"class 2": ("Perca fluviatilis", "")})

    pd.DataFrame({"class": ["class 2"], "taxon_id": [47162]}).to_csv(tmp_path / "classes.csv", index=False)
    asked = counterexamples_section(replace(whole, folder=Elsewhere()))
    assert composed(asked).taxa == "47162"
    assert any("Perca fluviatilis" in block.text for block in asked.chapter.blocks)


def dated(whole, day_of):
    class Elsewhere:
        root, names = whole.folder.root, ClassNames()
        table = whole.folder.table.assign(taken_on=[day_of(path) for path in whole.folder.table["path"]])

    return replace(whole, folder=Elsewhere())


def test_days_are_asked_for_on_which_fewer_photos_carry_the_cue(whole):
    carrying = set(whole.photos.loc[whole.photos["carries"], "path"])
    later = dated(whole, lambda path: "2021-06-01" if path in carrying else "2018-03-02")
    assert fewer_carriers(later, whole.found[2]) == {"until": "2021-05-31"}
    assert str(composed(counterexamples_section(later)).until) == "2021-05-31"
    earlier = dated(whole, lambda path: "2016-06-01" if path in carrying else "2019-03-02")
    assert fewer_carriers(earlier, whole.found[2]) == {"since": "2019-03-02"}
    days = np.random.default_rng(0).choice(["2018-01-01", "2020-01-01"], len(whole.folder.table))
    order = iter(days)
    assert fewer_carriers(dated(whole, lambda path: next(order)), whole.found[2]) == {}
    assert fewer_carriers(dated(whole, lambda path: ""), whole.found[2]) == {}
    assert fewer_carriers(whole, whole.found[2]) == {}


def test_where_nothing_was_found_nothing_is_collected(whole):
    assert counterexamples_section(replace(whole, found=whole.found[:2])) is None


def test_two_rounds_stand_side_by_side(whole, tmp_path):
    (tmp_path / "audit").mkdir()
    table = verdict_table(whole.measured, whole.found)
    table.loc[0, ["verdict", "kind", "reliance"]] = ["shortcut", "ring", 0.4]
    table = table[table["class"] != "class 1"]
    pd.concat([table, table.iloc[:1].assign(**{"class": "gone"})]).to_csv(tmp_path / "audit" / "verdicts.csv")
    section = rounds_section(replace(whole, before=read_round(tmp_path)))
    rounds = section.tables["rounds"].set_index("class")
    assert rounds.loc["class 0", ["verdict_before", "verdict"]].tolist() == ["shortcut", "nothing"]
    assert np.isnan(rounds.loc["class 1", "reliance_before"]) and np.isnan(rounds.loc["gone", "reliance"])
    block = section.chapter.blocks[-1]
    cells = {row[0]: row for row in block.rows}
    assert cells["class 0"][1:3] == ["the edge of the photo → nothing", "0.40 → 0.00"]
    assert cells["gone"][4].endswith("→ –") and cells["class 1"][1] == "not judged → nothing"
    assert dict(zip(cells, block.row_styles, strict=True)) == {
        "class 0": "good", "class 1": "", "class 2": "bad", "gone": "good",
    }  # fmt: skip
    assert rounds_section(whole) is None


@pytest.mark.parametrize("text", [None, "class,verdict\nx,y\n", ""])
def test_a_first_round_that_is_none_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "audit").mkdir()
        (tmp_path / "audit" / "verdicts.csv").write_text(text)
    with pytest.raises(BadInput, match="before="):
        read_round(tmp_path)
