"""The page in a real browser: every figure comes, and nobody outside is asked."""

from pathlib import Path

import pytest

from fishnet.fisheries.chapters import answers, chapters
from fishnet.fisheries.dynamics import candidates, dynamics
from fishnet.fisheries.findings import Findings, status_of
from fishnet.fisheries.reading import read_frame
from fishnet.fisheries.simulating import sample
from fishnet.page.page import render_page

pytestmark = pytest.mark.slow


@pytest.fixture
def address(served):
    made, truth = sample(stocks=16, years=35)
    sheet = read_frame(Path("sample.csv"), made)
    found = Findings([sheet], ["odd.csv is empty: download it again."], status_of([sheet.frame]), truth=truth)
    found.dynamics = [dynamics(one, resamples=50) for one in candidates(found.frames)[:1]]
    text = render_page("Fish", "about", chapters(found), answers=answers(found))
    return served(text)


def test_every_figure_is_drawn_and_nothing_is_fetched(page, address):
    page.open(address)
    page.await_words("Five words first", "How stocks grow", "odd.csv is empty")
    page.check_whole("stock", pictures=5)
    for chapter in page.run("return [...document.querySelectorAll('nav a')].map(a => a.getAttribute('href'))"):
        assert page.run("return !!document.querySelector(arguments[0])", chapter)
