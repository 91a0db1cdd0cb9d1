"""The page of a run and the page of several, of real runs in a real browser, wide and narrow."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.support.three_runs import RUNS, make_three_runs
from tests.support.verbs import in_this_process

pytestmark = pytest.mark.slow
HEAT = "return [...document.querySelectorAll('.heat')].map(heat => getComputedStyle(heat).opacity)"
FADE = "const s = document.querySelector('.fader input'); s.value = arguments[0]; s.dispatchEvent(new Event('input'));"


@pytest.fixture(scope="module")
def three(shapes, tmp_path_factory) -> Path:
    home = make_three_runs(shapes, tmp_path_factory.mktemp("three"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        assert in_this_process("compare", "out=page.html") == 0
    return home


@pytest.fixture(params=[1280, 390])
def sized(page, request):
    phone = {"width": request.param, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    yield page, request.param
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert not [line for line in page.driver.get_log("browser") if "favicon" not in line["message"]]


def test_the_same_photo_is_seen_in_three_runs_and_pages_are_turned(sized, served, three):
    page, width = sized
    page.open(served((three / "page.html").read_text()))
    page.await_true(lambda: page.run("return document.querySelector('.fader').dataset.ready"), "the photos")
    data = page.run("return JSON.parse(document.querySelector('.fader').nextElementSibling.textContent)")
    assert len(data["cards"]) > 3
    assert page.run("return document.querySelectorAll('.view').length") == 3
    assert page.run(HEAT) == ["0.5"] * 3
    page.run(FADE, 20)
    assert page.run(HEAT) == ["0.2"] * 3
    place, path = (f"return document.querySelector('.fader {name}').textContent" for name in (".place", ".path"))
    count = len(data["cards"])
    assert page.run(place) == f"1 of {count}" and page.run(path) == data["cards"][0]["path"]
    page.click(".fader .next")
    page.driver.find_element("tag name", "body").send_keys("\ue014")  # the right arrow
    assert page.run(place) == f"3 of {count}" and page.run(path) == data["cards"][2]["path"]
    page.driver.find_element("tag name", "body").send_keys("\ue012\ue012\ue012")  # three times the left one
    assert page.run(place) == f"{count} of {count}"
    assert page.run(HEAT) == ["0.2"] * 3
    shown = page.run("return [...document.querySelectorAll('.view .words')].map(words => words.textContent)")
    tables = [pd.read_csv(three / name / "report" / "predictions.csv", index_col="path") for name in RUNS]
    rows = [table.loc[data["cards"][-1]["path"]] for table in tables]
    assert sorted(shown) == sorted(f"{row['predicted']} {row['probability']:.0%}" for row in rows)
    tops = page.run("return [...document.querySelectorAll('.view')].map(view => view.getBoundingClientRect().top)")
    assert len(set(tops)) == (1 if width == 1280 else 2)  # side by side; on a phone two and one
    page.run("document.querySelector('.fader').scrollIntoView()")
    page.check_whole(f"compare-{width}", pictures=7)


def test_a_click_on_a_columns_name_sorts_the_table(sized, served, three):
    page, _ = sized
    page.open(served((three / "page.html").read_text()))
    page.await_true(lambda: page.run("return document.querySelector('.sortable').dataset.ready"), "the table")
    heads = page.run("return [...document.querySelectorAll('.sortable th')].map(head => head.textContent)")
    column = heads.index("test loss")

    def values() -> list[float]:
        cells = page.run(
            "return [...document.querySelectorAll('.sortable')[0].querySelectorAll('tbody tr')]"
            ".map(row => row.cells[arguments[0]].textContent)",
            column,
        )
        return [float(cell.split()[0]) for cell in cells]

    before = values()
    page.run("document.querySelectorAll('.sortable th button')[arguments[0]].click()", column)
    assert values() == sorted(before, reverse=True)
    page.run("document.querySelectorAll('.sortable th button')[arguments[0]].click()", column)
    assert values() == sorted(before)
    assert page.run("return document.querySelector('[aria-sort]').getAttribute('aria-sort')") == "ascending"


def test_the_page_of_a_run_is_whole_and_shows_its_mistakes(sized, served, three):
    page, width = sized
    page.open(served((three / "small" / "report" / "report.html").read_text()))
    page.await_true(lambda: page.run("return document.querySelector('.fader').dataset.ready"), "the photos")
    figures = json.loads((three / "small" / "report" / "metrics.json").read_text())["figures"]
    page.await_words(
        "Learning curves", "What is taken for what", "Licences to cite", f"{figures['accuracy']['value']:.3f}"
    )
    assert set(page.run(HEAT)) == {"0"}
    page.run(FADE, 100)
    assert set(page.run(HEAT)) == {"1"}
    answers = pd.read_csv(three / "small" / "report" / "predictions.csv", index_col="path")
    wrong = answers[answers["class"] != answers["predicted"]]
    page.run(
        "const c = document.querySelector('.fader select'); c.value = 'wrong'; c.dispatchEvent(new Event('change'));"
    )
    shown = page.run("return [...document.querySelectorAll('.card .path')].map(path => path.textContent)")
    assert shown and set(shown) <= set(wrong.index)
    page.check_whole(f"run-{width}", pictures=6)
