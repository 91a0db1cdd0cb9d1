"""The page needs nothing beside it and believes no name."""

import json
import re

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from fishnet.page.page import Chapter, Link, Number, Row, format_number, read_template, render_page, unbroken


def test_names_from_tables_are_text_and_never_markup():
    chapter = Chapter("<script>alert(1)</script>")
    chapter.add_text("a & b")
    chapter.add_warning("<b>")
    chapter.add_code("<pre>")
    chapter.add_table(["<i>"], [("<img src=x>",), ("y",)], folded="<em>")
    chapter.add_figure("data:image/svg+xml;base64,", 'a "quoted" caption')
    text = render_page("T", "about", [chapter], answers=["<u>"])
    for markup in ("<script>", "<b>", "<i>", "<img src=x>", "<u>", "<em>", "<pre>"):
        assert markup not in text
    assert "a &amp; b" in text and "&lt;script&gt;" in text


def test_prose_of_a_template_keeps_its_markup_and_escapes_its_arguments(tmp_path, monkeypatch):
    (tmp_path / "prosaic").mkdir()
    (tmp_path / "prosaic" / "__init__.py").touch()
    (tmp_path / "prosaic" / "prose.html").write_text(
        "{% macro chosen(name) %}\n{% if name %}<b>{{ name }}</b>,{% endif %}\n"
        "of {{ (1 / 3) | fmt('.2f') }}{% endmacro %}"
        "{% macro unknown() %}{{ nobody }}{% endmacro %}"
    )
    monkeypatch.syspath_prepend(tmp_path)
    prose = read_template("prosaic", "prose.html").module
    chapter = Chapter("x")
    chapter.add_text(prose.chosen("<i>"))
    assert chapter.blocks[0].text == Markup("<b>&lt;i&gt;</b>, of 0.33")
    assert "<b>&lt;i&gt;</b>, of 0.33" in render_page("T", "about", [chapter])
    with pytest.raises(UndefinedError):
        prose.unknown()


def test_numbers_as_people_write_them():
    texts = [format_number(value) for value in (12345.6, 12.345, 0.01234, 0.0, 0.00001, 7, None, float("nan"), 2000)]
    assert texts == ["12,346", "12.3", "0.0123", "0", "1.0e-05", "7", "–", "–", "2000"]


def test_columns_of_numbers_stand_to_the_right():
    chapter = Chapter("x")
    chapter.add_table(["name", "value"], [("a", 1.5), ("b", None)])
    assert chapter.blocks[0].numeric == {1}
    assert chapter.blocks[0].rows[1] == ["b", "–"]


def test_a_row_may_have_a_style_or_span_all_columns():
    chapter = Chapter("x")
    chapter.add_table(["name", "value"], [Row(("a", "1"), "good"), Row(("why",), "bad")], numeric=[1])
    text = render_page("T", "about", [chapter])
    assert re.search(r'<tr class="good"><td>a</td><td class="number">1</td></tr>', text)
    assert re.search(r'<tr class="bad"><td class="wide" colspan="2">why</td></tr>', text)


def test_links_lead_to_chapters_and_the_one_without_a_title_opens_the_page():
    opening = Chapter()
    opening.add_text("first of all")
    inner = Chapter()
    inner.add_text("folded away")
    last = Chapter("two")
    last.add_details("more", inner)
    text = render_page("T", "about", [opening, Chapter("one"), last])
    assert re.findall(r'href="#(\w+)"', text) == re.findall(r'<h2 id="(\w+)"', text) == ["c1", "c2"]
    assert text.index("first of all") < text.index("<nav>")
    assert re.search(r"<details><summary>more</summary>\s*<p>folded away</p>\s*</details>", text)


def test_a_cell_leads_to_its_chapter_even_where_two_have_one_title():
    opening, first, second = Chapter(), Chapter("<fish>"), Chapter("<fish>")
    opening.add_table(["name", "value"], [(Link("<b>", second), 1.5), ("none", 2.5)])
    opening.add_table(["name"], [(Link("folded", first),)], folded="more")
    assert opening.blocks[0].numeric == {1}
    text = render_page("T", "about", [opening, first, second])
    assert '<td><a href="#c2">&lt;b&gt;</a></td><td class="number">1.5</td>' in text
    assert '<td><a href="#c1">folded</a></td>' in text


def test_only_a_page_that_is_still_written_reloads_itself():
    assert 'http-equiv="refresh"' not in render_page("T", "about", [])
    assert '<meta http-equiv="refresh" content="30">' in render_page("T", "about", [], reload_seconds=30)


def test_a_sortable_table_has_the_values_behind_its_cells():
    chapter = Chapter("x")
    rows = [("a", Number("0.91 [0.8, 1]", 0.91), 3), ("b</script>", Number("–", float("nan")), None)]
    chapter.add_table(["name", "F1", "runs"], rows, sortable=True)
    assert chapter.blocks[0].numeric == {1, 2}
    text = render_page("T", "about", [chapter])
    assert '<td class="number">0.91 [0.8, 1]</td><td class="number">3</td>' in text
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', text)
    assert json.loads(data) == {"keys": [["a", 0.91, 3.0], ["b</script>", None, None]]}
    assert "script-src 'sha256-" in text


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("73 % of 48, 100 % in 1975", ["73 %", "100 %"]),
        ("MSY 8,016 (7,331 – 8,766) or 0.7 ± 0.1 (2)", ["(7,331 – 8,766)", "0.7 ± 0.1"]),
        ("−0.2 – 0.3, 29 % to 56 %", ["−0.2 – 0.3", "29 % to 56 %"]),
        ("no number – and 5 fish", []),
    ],
)
def test_numbers_that_belong_together_are_not_broken(text, whole):
    marked = unbroken(f"<b> {text}")
    assert re.findall(r'<span class="whole">(.*?)</span>', marked) == whole
    assert re.sub("</?span.*?>", "", marked) == f"&lt;b&gt; {text}"
