"""Whether a reaction is inherited: what is left out, which references react, and what the page and the tables say."""

from dataclasses import replace

import pandas as pd
import pytest

from fishnet.audit import inherited
from fishnet.audit.inherited import dropped_photos, plan_of, reactions, reference_section
from fishnet.audit.page import audit_page
from fishnet.audit.tables import sentence, verdict_table
from tests.support.edged import EACH, SIDE, is_edged
from tests.support.readers import BorderReader


@pytest.fixture
def planned(whole, monkeypatch) -> pd.DataFrame:
    """A plan that takes the few photos of the drawn folder for enough."""
    monkeypatch.setattr(inherited, "FEWEST_LEFT", 5)
    return plan_of(whole)


def test_with_few_photos_left_no_reference_is_tried_and_the_reason_is_given(whole):
    plan = plan_of(whole)
    assert plan["class"].tolist() == ["class 2"] and plan["dropped"].item() + plan["left"].item() == EACH
    assert f"{plan['left'].item()} training photos would be left, and 20 are needed" in plan["reason"].item()
    assert dropped_photos(whole, plan).empty
    table = reactions(whole, plan, None, {})
    assert table["inherited"].tolist() == [""]
    chapter = reference_section(replace(whole, reference=table)).chapter
    assert "would be left" in str(chapter.blocks) and "there was none" in str(chapter.blocks)


def test_the_training_photos_that_carry_it_are_dropped_and_no_others(whole, planned):
    lines = dropped_photos(whole, planned)
    trained = whole.folder.table.query("seen == 'train'")
    assert set(lines["path"]) >= {path for path in trained["path"] if is_edged(path)}
    assert set(lines["path"]) <= set(trained["path"]) and len(lines) == planned["dropped"].item() < EACH
    assert (lines["action"] == "drop").all() and lines["sha256"].str.len().eq(64).all()


def test_without_a_carrier_in_the_training_nothing_is_tried(whole):
    photos = whole.photos.assign(carries=whole.photos["carries"] & (whole.photos["seen"] != "train"))
    assert plan_of(replace(whole, photos=photos))["reason"].tolist() == [
        "none of its training photos was found to carry it"
    ]


@pytest.mark.parametrize(("edge", "answer"), [(8.0, "yes"), (0.0, "no"), (0.8, "no")])
def test_a_reaction_is_inherited_where_the_reference_reacts_too(whole, planned, edge, answer):
    """The reference reads the edge as well as the model, not at all, or a tenth as much."""
    table = reactions(whole, planned, BorderReader(SIDE, classes=3, edge=edge), {"edge": edge})
    row = table.iloc[0]
    assert row["inherited"] == answer and row["accuracy"] > 0.9 and not row["reason"]
    assert row["low"] <= row["reference"] <= row["high"]
    assert row["share"] == pytest.approx(whole.found[2].test.share[0])


def test_the_sentence_the_table_and_the_page_say_so(whole, planned):
    table = reactions(whole, planned, BorderReader(SIDE, classes=3), {"edge": 8})
    found = [*whole.found[:2], replace(whole.found[2], inherited=table["inherited"].item())]
    audited = replace(whole, found=found, reference=table)
    assert "inherited" in sentence(found[2]) and "inherited" not in sentence(whole.found[2])
    assert verdict_table(whole.measured, found)["inherited"].tolist() == ["", "", "yes"]
    section = reference_section(audited)
    assert section.metrics == {"audit/inherited": 1.0} and len(section.tables["reference"]) == 1
    page = audit_page(audited, name="edge", sections=[section])
    assert "Inherited:" in page and "Without the photos that carry it" in page
    assert "nherited" not in audit_page(whole, name="edge")
    no = [*whole.found[:2], replace(whole.found[2], inherited="no")]
    assert "Not inherited" in audit_page(replace(whole, found=no), name="edge")


def test_where_nothing_was_found_or_asked_there_is_no_chapter(whole):
    innocent = [replace(verdict, word="nothing") for verdict in whole.found]
    assert plan_of(replace(whole, found=innocent)).empty
    assert reference_section(whole) is None
