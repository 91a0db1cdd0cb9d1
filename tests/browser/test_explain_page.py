"""The page of maps in a real browser: the red begins at nothing, one slider moves all of it, answers are chosen."""

import numpy as np
import pytest

from fishnet.explain.contact import Card, ClassMap, cards_chapter
from fishnet.page.page import render_page

pytestmark = pytest.mark.slow
HOSTILE = "<img src=x onerror=alert(1)>"


def cards() -> list[Card]:
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 255, (96, 96, 3), dtype=np.uint8) for _ in range(3)]
    hot = np.zeros((4, 4), np.float32)
    hot[1, 1] = 1
    answer, true = ClassMap("perch", 0.9, hot), ClassMap(HOSTILE, 0.1, hot.T[::-1])
    return [
        Card("perch/a.jpg", photos[0], "perch", [answer]),
        Card(f"eel/{HOSTILE}.jpg", photos[1], HOSTILE, [answer, true]),
        Card("b.jpg", photos[2], None, [answer]),
    ]


@pytest.mark.parametrize("width", [1280, 390])
def test_the_red_fades_in_and_wrong_answers_can_be_shown_alone(page, served, width):
    phone = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        page.open(served(render_page("What it looks at", "by a test", [cards_chapter(cards())])))
        page.await_true(lambda: page.run("return document.querySelector('.fader').dataset.ready"), "the photos")
        opacity = "return getComputedStyle(document.querySelectorAll('.heat')[arguments[0]]).opacity"
        assert [page.run(opacity, number) for number in range(4)] == ["0"] * 4
        move = "const s = document.querySelector('.fader input'); s.value = 70; s.dispatchEvent(new Event('input'));"
        page.run(move)
        assert [page.run(opacity, number) for number in range(4)] == ["0.7"] * 4
        shown = "return [...document.querySelectorAll('.card')].filter(card => card.offsetParent !== null).length"
        choose = "const c = document.querySelector('.fader select'); c.value = arguments[0];"
        choose += "c.dispatchEvent(new Event('change'));"
        for what, count in (("wrong", 1), ("right", 1), ("", 3)):
            page.run(choose, what)
            assert page.run(shown) == count
        assert f"true: {HOSTILE} 10%" in page.text and "answer: perch 90%" in page.text
        page.check_whole(f"explain-{width}", pictures=8)
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
