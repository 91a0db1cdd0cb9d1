"""The service's page in a real browser: photos in, answers and their evidence out, in two languages and two widths."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.service import Service, drawn_bundle
from tests.support.uploads import encoded, picture

pytestmark = pytest.mark.slow
HOSTILE = "<img src=x onerror=alert(1)>.jpg"


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Service]:
    with Service(drawn_bundle(tmp_path_factory.mktemp("served") / "fish")) as running:
        yield running


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    files = [folder / name for name in ("a.jpg", "b.png", HOSTILE)]
    for number, file in enumerate(files):
        file.write_bytes(encoded(picture(number, 400, 300), "PNG" if file.suffix == ".png" else "JPEG"))
    (folder / "text.jpg").write_text("no photo")
    return [*files, folder / "text.jpg"]


@pytest.fixture(scope="module")
def opened(page, service, photos):
    """The page with three photos and their answers."""
    page.open(f"{service.url}/")
    page.await_words("Which species is this?", "A model of 4 classes")
    give(page, photos[:3])
    page.await_words("3 of 3 photos answered")
    return page


def give(page, files: list[Path]) -> None:
    page.driver.find_element("id", "files").send_keys("\n".join(str(file) for file in files))


def cards(page) -> list:
    return page.driver.find_elements("css selector", ".card")


def remove_from(page, number: int) -> None:
    page.run("[...document.querySelectorAll('.card .remove')].slice(arguments[0]).forEach(b => b.click())", number)
    page.await_words("3 of 3 photos answered")


def slide(page, number: int, value: int) -> None:
    script = "const s = document.querySelectorAll('.card input[type=range]')[arguments[0]]; s.value = arguments[1];"
    page.run(script + "s.dispatchEvent(new Event('input'));", number, value)


def red(page, number: int = 0) -> list[int]:
    """Opacity of the red of a card's map, pixel by pixel; nothing while it is faded out."""
    return page.run(
        "const c = document.querySelectorAll('.card canvas')[arguments[0]]; if (c.hidden) return [];"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return [...d].filter((_, i) => i % 4 === 3);",
        number,
    )


def test_photos_are_answered_with_bars_and_names_stay_text(opened):
    names = [card.find_element("tag name", "h3").text for card in cards(opened)]
    assert names == ["a.jpg", "b.png", HOSTILE]
    for card in cards(opened):
        bars = card.find_elements("css selector", ".classes button")
        shares = [float(bar.find_element("class name", "share").text.split()[-1].rstrip("%")) for bar in bars]
        assert len(bars) == 4 and shares == sorted(shares, reverse=True) and 98 < sum(shares) < 102
    assert "<b>eel</b>" in opened.text and not opened.run("return document.querySelector('.name b')")


def test_the_map_fades_in_and_belongs_to_the_class_that_is_shown(opened):
    assert red(opened) == []
    slide(opened, 0, 70)
    first = red(opened)
    assert max(first) > 80
    slide(opened, 0, 35)
    assert max(red(opened)) < max(first)
    slide(opened, 0, 70)
    cards(opened)[0].find_elements("css selector", ".classes button")[2].click()
    opened.await_true(lambda: red(opened) != first, "another map")
    pressed = cards(opened)[0].find_elements("css selector", ".classes [aria-pressed=true]")
    assert len(pressed) == 1 and pressed[0].find_element("class name", "name").text in opened.text


def test_a_proven_shortcut_is_said_where_it_is_answered(opened, service, tmp_path):
    for number in range(40):
        (tmp_path / f"{number}.jpg").write_bytes(encoded(picture(100 + number), "JPEG"))
    give(opened, sorted(tmp_path.glob("*.jpg")))
    opened.await_words("43 of 43 photos answered")
    words = [card.text for card in cards(opened)]
    answered_perch = [("perch" in text.splitlines()[1], "An audit has shown" in text) for text in words]
    assert {True, False} == {perch for perch, _ in answered_perch}
    assert all(perch == warned for perch, warned in answered_perch)
    remove_from(opened, 3)


def test_ticks_limit_the_answers(opened):
    opened.run("document.querySelector('#limits').open = true; document.querySelector('#none').click()")
    opened.await_words("Tick two classes or more.")
    for number in (0, 1):
        opened.driver.find_elements("css selector", "#ticks input")[number].click()  # drawn anew by each tick
    opened.await_true(lambda: len(cards(opened)[2].find_elements("css selector", ".classes button")) == 2, "two bars")
    opened.await_words("2 of 4", "3 of 3 photos answered")
    opened.run("document.querySelector('#all').click()")
    opened.await_true(lambda: len(cards(opened)[2].find_elements("css selector", ".classes button")) == 4, "four bars")
    opened.await_words("3 of 3 photos answered")


def test_photos_of_one_animal_are_combined(opened):
    assert not opened.driver.find_element("id", "together").is_enabled()
    for card in cards(opened)[:2]:
        card.find_element("css selector", ".tick input").click()
    opened.click("#together")
    opened.await_words("2 photos of one animal")
    opened.await_true(lambda: len(cards(opened)[3].find_elements("css selector", ".classes button")) == 4, "its bars")
    remove_from(opened, 3)


def test_results_are_saved_as_csv(opened, tmp_path):
    allow = {"behavior": "allow", "downloadPath": str(tmp_path)}
    opened.driver.execute_cdp_cmd("Page.setDownloadBehavior", allow)
    opened.click("#csv")
    file = tmp_path / "fishnet.csv"
    opened.await_true(file.exists, "the file")
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"))))
    assert [row["name"] for row in rows] == ["a.jpg", "b.png", HOSTILE]
    shares = [float(rows[0][name]) for name in ("perch", "grand brochet", "鲤", "<b>eel</b>")]
    assert sum(shares) == pytest.approx(1) and float(rows[0]["probability"]) == max(shares)


def test_what_is_no_photo_says_why_and_can_be_removed(opened, photos):
    give(opened, photos[3:])
    opened.await_words("This photo cannot be read: not a JPEG, PNG, WebP or GIF file")
    remove_from(opened, 3)


def test_both_languages_and_widths(opened):
    slide(opened, 0, 60)
    opened.picture("serve_desktop")
    opened.click("[data-language=fr]")
    opened.await_words(
        "Quelle est cette espèce\u202f?", "3 photos sur 3 ont une réponse", "Montrer ce qui motive la réponse"
    )
    assert opened.run("return document.documentElement.lang") == "fr"
    assert not opened.run(
        "return [...document.querySelectorAll('[data-text]')].some(e => e.textContent === e.dataset.text)"
    )
    metrics = {"width": 360, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    opened.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    assert opened.run("return document.documentElement.scrollWidth <= window.innerWidth")
    small = opened.run(
        "return [...document.querySelectorAll('button, .button, .tick, #ticks label, input[type=range]')]"
        ".filter(e => e.offsetParent && e.getBoundingClientRect().height < 43.5).map(e => e.outerHTML.slice(0, 80))"
    )
    assert not small
    opened.picture("serve_phone")
    opened.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    opened.click("[data-language=en]")
    opened.await_words("Which species is this?")


def test_nobody_outside_was_asked_and_nothing_went_wrong(opened):
    opened.check_whole("serve_whole", pictures=3)
    entries = opened.driver.get_log("browser")
    assert not [entry["message"] for entry in entries if entry["level"] == "SEVERE"], json.dumps(entries, indent=1)


def test_a_token_is_asked_for_and_kept_in_memory_alone(page, tmp_path, photos):
    (tmp_path / "token").write_text("sesame-open-sesame-open")
    with Service(drawn_bundle(tmp_path / "fish"), f"token_file='{tmp_path / 'token'}'") as service:
        page.open(f"{service.url}/")
        page.await_words("This service asks for a token")
        for attempt in ("wrong", "sesame-open-sesame-open"):
            field = page.driver.find_element("id", "secret")
            field.clear()
            field.send_keys(attempt)
            page.click("#token button")
            page.await_words("That token was not accepted." if attempt == "wrong" else "A model of 4 classes")
        give(page, photos[:1])
        page.await_words("1 of 1 photos answered")
        assert page.run("return document.cookie + JSON.stringify({...localStorage, ...sessionStorage})") == "{}"
