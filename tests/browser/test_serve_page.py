"""The service's page in a real browser: photos in, answers and their evidence out, in two languages and two widths."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.service import CLASSES, Service, drawn_bundle
from tests.support.uploads import encoded, jpeg, picture

pytestmark = pytest.mark.slow
HOSTILE = "<img src=x onerror=alert(1)>.jpg"
TESTED = [
    {"file": "0.jpg", "true": "perch", "predicted": "perch", "probability": 0.9, "attribution": "<b>Ada</b>"},
    {"file": "1.jpg", "true": "<b>eel</b>", "predicted": "perch", "probability": 0.6, "licence": "cc-by"},
]
GALLERY = {"0.jpg": jpeg(50), "1.jpg": jpeg(51), "gallery.json": json.dumps({"photos": TESTED}).encode()}
MANY = ["perch", *(f"species_{number:02d}" for number in range(14))]
PHONE = {"width": 360, "height": 780, "deviceScaleFactor": 2, "mobile": True}


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Service]:
    with Service(drawn_bundle(tmp_path_factory.mktemp("served") / "fish", gallery=GALLERY)) as running:
        yield running


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[Path]:
    """Three photos, and a file that is none."""
    folder = tmp_path_factory.mktemp("photos")
    files = [folder / name for name in ("a.jpg", "b.png", HOSTILE)]
    for number, file in enumerate(files):
        file.write_bytes(encoded(picture(number, 400, 300), "PNG" if file.suffix == ".png" else "JPEG"))
    (folder / "text.jpg").write_text("no photo")
    return [*files, folder / "text.jpg"]


@pytest.fixture
def opened(page, service, photos):
    """The page with three photos and their answers."""
    open_page(page, service)
    give(page, photos[:3])
    page.await_words("3 of 3 photos answered")
    return page


def open_page(page, service) -> None:
    page.open(f"{service.url}/")
    page.await_words("What is in this photo?", f"A model that knows {len(CLASSES)} classes")


def give(page, files: list[Path]) -> None:
    page.driver.find_element("id", "files").send_keys("\n".join(str(file) for file in files))


def card(page, number: int):
    return page.driver.find_elements("css selector", ".card")[number]


def bars(page, number: int = 0) -> list[tuple[str, float]]:
    """Name and probability of each class that a card shows."""
    items = page.run(
        "return [...document.querySelectorAll('.card')[arguments[0]].querySelectorAll('.bars li')].map(item =>"
        "[item.querySelector('.name').textContent, item.querySelector('[role=meter]').getAttribute('aria-valuenow')])",
        number,
    )
    return [(name, float(value) / 100) for name, value in items]


def slide(page, number: int, value: int) -> None:
    script = "const s = document.querySelectorAll('.card input[type=range]')[arguments[0]]; s.value = arguments[1];"
    page.run(script + "s.dispatchEvent(new Event('input'));", number, value)


def redness(page, number: int = 0) -> list[int]:
    """How much of a card's canvas is red, row by row."""
    return page.run(
        "const c = document.querySelectorAll('.card canvas')[arguments[0]]; if (!c.width) return [];"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, rows = new Array(c.height).fill(0);"
        "for (let i = 0; i < d.length; i += 4) if (d[i] > 2 * d[i + 1]) rows[Math.floor(i / 4 / c.width)] += d[i + 3];"
        "return rows",
        number,
    )


def answer_once(page, status: int | None) -> None:
    """The next request to /predict gets this status, or finds no network."""
    page.run(
        "const real = window.fetch, status = arguments[0];"
        "const full = () => new Response('{\"detail\": \"Full.\"}', {status, headers: {'Retry-After': '1'}});"
        "window.fetch = (path, options) => {"
        "  if (!String(path).startsWith('predict')) return real(path, options);"
        "  window.fetch = real;"
        "  return status ? Promise.resolve(full()) : Promise.reject(new TypeError());"
        "}",
        status,
    )


def test_photos_are_answered_with_bars_and_names_stay_text(opened, service, photos):
    assert [card(opened, n).find_element("tag name", "h3").text for n in range(3)] == ["a.jpg", "b.png", HOSTILE]
    expected = service.predict(photos[1].read_bytes()).json()["photos"][0]["classes"]
    assert bars(opened, 1) == [(each["name"], pytest.approx(each["probability"], abs=6e-4)) for each in expected]
    assert not opened.run("return document.querySelector('main b, main img[src=x]')")
    opened.check_whole("serve_whole", pictures=3)


MAP_PIXELS = """
const done = arguments[arguments.length - 1];
import(new URL("heat.js", document.querySelector("script[type=module]").src)).then(({ heatPicture }) => {
  const picture = heatPicture(arguments[0]);
  if (!picture) return done(null);
  const { data } = picture.getContext("2d").getImageData(0, 0, picture.width, picture.height);
  done({ side: picture.width, pixels: [...data] });
});
"""


def test_a_line_runs_where_a_map_is_half_as_hot_as_it_gets(page, service):
    """Light on the hot side and dark on the other; it follows the half, and nothing is drawn on a cold map."""
    open_page(page, service)
    hot = [[4.0 if (row, column) == (1, 1) else -1.0 for column in range(4)] for row in range(4)]
    found = page.driver.execute_async_script(MAP_PIXELS, hot)
    side = found["side"]
    pixels = np.array(found["pixels"]).reshape(side, side, 4)
    grey = (pixels[..., 0] == pixels[..., 1]) & (pixels[..., 3] > 220)
    light, dark = (grey & (pixels[..., 0] == shade) for shade in (255, 24))
    assert light.sum() > 100 and dark.sum() > 100
    middle = int((1.5 / 4) * side)  # of the hot place; bilinear, the half is half a place away from it
    across = np.flatnonzero(light[middle])
    assert across.min() == pytest.approx(middle - side / 8, abs=2) and across.max() == pytest.approx(
        middle + side / 8, abs=2
    )
    assert np.flatnonzero(dark[middle]).tolist() == [across.min() - 1, across.max() + 1]
    red, green, blue, opacity = pixels[middle, middle]
    assert (red > 250, green, blue, opacity > 180) == (True, 0, 0, True)
    assert not light[:, 3 * side // 4 :].any()
    edge = page.driver.execute_async_script(MAP_PIXELS, [[1.0, 1.0], [1.0, 1.0]])
    assert not np.any(np.array(edge["pixels"]).reshape(-1, 4)[:, 1])  # a map that is hot everywhere has no line
    assert page.driver.execute_async_script(MAP_PIXELS, [[0.0, -1.0], [-2.0, 0.0]]) is None


def test_classes_are_called_as_people_call_them(page, service):
    open_page(page, service)
    script = """
    const done = arguments[arguments.length - 1];
    import(new URL("words.js", document.querySelector("script[type=module]").src)).then(({ plainName, useNames }) => {
      useNames([{ name: "1-perca", called: "Perca fluviatilis, European perch" }, { name: "a_b", called: "a_b" }]);
      done(["1-perca", "a_b", "c_d"].map(plainName));
    });
    """
    assert page.driver.execute_async_script(script) == ["Perca fluviatilis, European perch", "a b", "c d"]


def test_the_map_fades_in_over_what_the_network_saw(opened, service, photos):
    assert not any(redness(opened))
    slide(opened, 0, 70)
    strong = redness(opened)
    slide(opened, 0, 35)
    weak = redness(opened)
    assert 0 < sum(weak) < sum(strong)
    view = service.predict(photos[0].read_bytes()).json()["photos"][0]["view"]
    assert 0.1 < view["left"] < 0.13  # about the square in the middle of 400 x 300
    outside = opened.run(
        "const c = document.querySelector('.card canvas'), pen = c.getContext('2d');"
        "const edge = Math.round(arguments[0] * c.width);"
        "return [[0, edge - 2], [edge - 2, 8]].map(([left, width]) =>"
        "  pen.getImageData(left, 0, width, c.height).data.some(value => value > 0))",
        view["left"],
    )
    assert outside == [False, True]  # nothing beside it, and then its frame
    assert "Red marks what speaks for" in card(opened, 0).text


def test_each_class_has_its_own_map(opened):
    slide(opened, 0, 70)
    first, answered = redness(opened), bars(opened)[0][0]
    buttons = card(opened, 0).find_elements("css selector", ".bars button")
    maps = set()
    for button in buttons:
        button.send_keys("\n")
        maps.add(tuple(redness(opened)))
        pressed = card(opened, 0).find_elements("css selector", ".bars [aria-pressed=true]")
        assert len(pressed) == 1 and pressed[0].get_attribute("data-name") == button.get_attribute("data-name")
    assert len(maps) >= 3 and bars(opened)[0][0] == answered
    buttons[0].send_keys("\n")
    assert redness(opened) == first


def test_a_proven_shortcut_is_said_where_it_is_answered(page, service, tmp_path):
    open_page(page, service)
    for number in range(20):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(100 + number))
    give(page, sorted(tmp_path.glob("*.jpg")))
    page.await_words("20 of 20 photos answered")
    texts = page.run("return [...document.querySelectorAll('.card')].map(card => card.innerText)")
    warned = ["An audit has shown that answers “perch” rest in part on what surrounds the animal" in t for t in texts]
    perch = [bars(page, number)[0][0] == "perch" for number in range(20)]
    assert warned == perch and {True, False} == set(perch)
    assert "12 percentage points" in texts[perch.index(True)]
    page.driver.find_element("id", "clear").click()
    page.await_words("Choose, drop or paste a photo")


def noise() -> bytes:
    return encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)), "PNG")


def test_what_looks_like_none_of_the_classes_is_said_above_grey_bars(page, service, tmp_path):
    (tmp_path / "noise.png").write_bytes(noise())
    open_page(page, service)
    give(page, [tmp_path / "noise.png"])
    page.await_words("This looks like none of the classes", "1 of 1 photo answered")
    assert "none" in card(page, 0).get_attribute("class").split() and len(bars(page)) == 4


def test_ticks_limit_the_answers(opened):
    opened.run("document.querySelector('#limits').open = true; document.querySelector('#tick-none').click()")
    opened.await_words("Tick two classes or more", "0 of 4")
    assert len(bars(opened)) == 4
    for box in opened.driver.find_elements("css selector", "#ticks input")[:2]:
        box.click()
    opened.await_true(lambda: all(len(bars(opened, n)) == 2 for n in range(3)), "two bars in each card")
    assert {name for name, _ in bars(opened)} == {"perch", "grand brochet"}
    assert sum(share for _, share in bars(opened)) == pytest.approx(1, abs=2e-3)
    opened.click("#tick-all")
    opened.await_true(lambda: all(len(bars(opened, n)) == 4 for n in range(3)), "all bars")


def test_photos_of_one_animal_are_combined(opened, service, photos):
    button = opened.driver.find_element("id", "combine")
    assert not button.is_enabled()
    for number in (0, 2):
        card(opened, number).find_element("css selector", ".select input").click()
    button.click()
    opened.await_words("2 photos of one animal")
    opened.await_true(lambda: len(bars(opened)) == 4, "its bars")
    answer = service.predict(photos[0].read_bytes(), photos[2].read_bytes(), together=True).json()["together"]
    assert bars(opened) == [(each["name"], pytest.approx(each["probability"], abs=6e-4)) for each in answer["classes"]]
    assert not button.is_enabled() and "3 of 3 photos answered" in opened.text
    opened.picture("serve_combined")


def test_results_are_saved_as_csv(page, service, photos, tmp_path):
    open_page(page, service)
    formula = tmp_path / "=HYPERLINK(1),x.png"
    formula.write_bytes(photos[1].read_bytes())
    (tmp_path / "large.jpg").write_bytes(b"\xff\xd8\xff" + bytes(11 * 2**20))
    (tmp_path / "noise.png").write_bytes(noise())
    give(page, [photos[0], formula, photos[3], tmp_path / "large.jpg", tmp_path / "noise.png"])
    page.await_words("3 of 5 photos answered", "2 with a problem")
    allow = {"behavior": "allow", "downloadPath": str(tmp_path)}
    page.driver.execute_cdp_cmd("Page.setDownloadBehavior", allow)
    page.click("#save")
    file = tmp_path / "fishnet.csv"
    page.await_true(file.exists, "the file")
    rows = list(csv.reader(io.StringIO(file.read_text(encoding="utf-8-sig"))))
    about = ["name", "sha256", "predicted", "predicted_name", "probability", "sure", "none_of_these", "seen", "problem"]
    assert rows[0] == [*about, *CLASSES]
    assert [row[0] for row in rows[1:]] == ["a.jpg", "'=HYPERLINK(1),x.png", "text.jpg", "large.jpg", "noise.png"]
    for row, data in zip(rows[1:], (photos[0].read_bytes(), photos[1].read_bytes()), strict=False):
        answer = service.predict(data).json()["photos"][0]
        shares = {each["name"]: each["probability"] for each in answer["classes"]}
        assert row[1:3] == [answer["sha256"], answer["predicted"]] and row[5] == str(answer["sure"]).lower()
        assert row[6] == str(answer["none_of_these"]).lower()
        assert [float(cell) for cell in row[9:]] == pytest.approx([shares[name] for name in CLASSES], abs=1e-6)
    assert rows[3][2:8] == [""] * 6 and rows[3][8].startswith("not a JPEG") and rows[3][9:] == [""] * 4
    assert rows[4][1:8] == [""] * 7 and rows[4][8].startswith("This file is larger than 10")
    assert rows[5][6] == "true"


def test_what_is_no_photo_says_why_in_both_languages(page, service, photos):
    open_page(page, service)
    give(page, photos[3:])
    page.await_words("This photo cannot be read: not a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC file")
    page.click("[data-language=fr]")
    formats = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF ou HEIC"
    page.await_words("Cette photo est illisible", f"ce n’est pas un fichier {formats}")
    page.picture("serve_refused")


def test_a_full_service_is_asked_again_and_a_lost_one_on_demand(page, service, photos):
    open_page(page, service)
    answer_once(page, 503)
    give(page, photos[:1])
    page.await_words("The service is busy; the next attempt is in 1 second")
    page.await_words("1 of 1 photo answered")
    answer_once(page, None)
    give(page, photos[1:2])
    page.await_words("The service cannot be reached", "1 of 2 photos answered")
    page.click(".card .again")
    page.await_words("2 of 2 photos answered")


def test_photos_come_by_paste_and_drop(page, service):
    open_page(page, service)
    for kind in ("paste", "drop"):
        page.run(
            "const done = new DataTransfer(), canvas = document.createElement('canvas'); canvas.width = 60;"
            "canvas.toBlob(blob => { done.items.add(new File([blob], arguments[0] + '.png', {type: 'image/png'}));"
            "const how = {bubbles: true, cancelable: true, clipboardData: done, dataTransfer: done};"
            "const Kind = arguments[0] === 'paste' ? ClipboardEvent : DragEvent;"
            "document.body.dispatchEvent(new Kind(arguments[0], how)); })",
            kind,
        )
        page.await_words(f"{kind}.png")
    page.await_words("2 of 2 photos answered")


def test_the_gallery_shows_tested_photos_and_asks_about_them(page, service):
    open_page(page, service)
    page.await_words("Photos that the model was tested on", "Right: perch, 90%", "Wrong: perch, 60%", "<b>Ada</b>")
    page.await_true(lambda: len(page.loaded_images()) == 3, "the photos and the mark")
    page.click("#tested li:nth-child(2) button")
    page.await_words("1 of 1 photo answered", "1.jpg")


def test_both_languages_and_widths(page, service, photos):
    override = {"userAgent": page.run("return navigator.userAgent"), "acceptLanguage": "de,fr-CA,en"}
    page.driver.execute_cdp_cmd("Emulation.setUserAgentOverride", override)
    page.open(f"{service.url}/")
    page.await_words("Que voit-on sur cette photo", "Un modèle qui connaît 4 classes")
    page.driver.execute_cdp_cmd("Emulation.setUserAgentOverride", override | {"acceptLanguage": "en-GB"})
    give(page, photos[:3])
    page.await_words("3 photos analysées sur 3", "Montrer ce qui motive la réponse")
    assert page.run("return document.documentElement.lang") == "fr"
    slide(page, 0, 60)
    page.picture("serve_desktop")
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    page.run("document.querySelector('#limits').open = true")
    for language in ("fr", "en"):
        page.click(f"[data-language={language}]")
        untold = (
            "return [...document.querySelectorAll('[data-text]')].filter(e => e.textContent === e.dataset.text).length"
        )
        assert page.run(untold) == 0
        assert page.run("return document.documentElement.scrollWidth <= 360")
        assert not small_targets(page)
    page.picture("serve_phone")
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def small_targets(page) -> list[str]:
    """What a finger would miss."""
    return page.run(
        "const wanted = 'button:not(.class), .button, .bars li, .tick, summary, input[type=range], input[type=search]';"
        "return [...document.querySelectorAll(wanted)].filter(e => e.offsetParent)"
        ".filter(e => e.getBoundingClientRect().height < 43.5).map(e => e.outerHTML.slice(0, 80))"
    )


def test_the_same_words_are_there_in_both_languages(page, service):
    open_page(page, service)
    keys = page.driver.execute_async_script(
        "const done = arguments[0]; import('./texts.js').then(({TEXTS}) => done(Object.values(TEXTS).map(words =>"
        "Object.entries(words).flatMap(([key, value]) => key === 'problems' ? [] : typeof value === 'object'"
        "? Object.keys(value).map(part => `${key}.${part}`) : [key]).concat("
        "JSON.stringify(words).match(/\\{\\w+\\}/g)).sort())))"
    )
    assert sorted(set(keys[0])) == sorted(set(keys[1]))


def test_nobody_outside_was_asked_and_nothing_went_wrong(page):
    assert page.hosts() == {"127.0.0.1"}
    entries = page.driver.get_log("browser")
    assert not [entry["message"] for entry in entries if entry["level"] == "SEVERE"], json.dumps(entries, indent=1)


def test_many_classes_a_token_and_maps_that_come_when_somebody_looks(page, tmp_path, photos):
    (tmp_path / "token").write_text("sesame-open-sesame-open")
    bundle = drawn_bundle(tmp_path / "fish", classes=MANY, gallery=GALLERY)
    with Service(bundle, f"token_file='{tmp_path / 'token'}'") as service:
        page.open(f"{service.url}/")
        give(page, photos[:1])
        page.await_words("This service asks for a token", "Waiting for its turn")
        for attempt in ("wrong", "sesame-open-sesame-open"):
            page.driver.find_element("id", "secret").send_keys(attempt)
            page.click("#token button")
            wanted = "did not accept this token" if attempt == "wrong" else "A model that knows 15 classes"
            page.await_words(wanted)
        page.await_words("1 of 1 photo answered")
        assert page.run("return document.cookie + JSON.stringify({...localStorage, ...sessionStorage})") == "{}"
        page.run("document.querySelector('#gallery').scrollIntoView()")
        page.await_true(lambda: len(page.loaded_images()) == 4, "the gallery's photos, which want the token, too")
        assert len(bars(page)) == 5
        answer_once(page, None)
        slide(page, 0, 80)
        page.await_words("The service cannot be reached")
        assert not any(redness(page)) and len(bars(page)) == 5
        slide(page, 0, 70)
        page.await_true(lambda: any(redness(page)), "a map")
        page.click(".card .more")
        assert len(bars(page)) == 15
        page.run("document.querySelector('.card .bars li:last-child button').click()")
        page.await_true(
            lambda: "speaks for" in card(page, 0).find_element("class name", "map-state").text, "another map"
        )
        page.run("document.querySelector('#limits').open = true")
        page.driver.find_element("id", "search").send_keys("species 0")
        page.await_true(lambda: visible_ticks(page) == 10, "ten classes of the search")
        page.click("#tick-none")
        page.await_true(lambda: len(bars(page)) == 5, "the five that are left")


def visible_ticks(page) -> int:
    return page.run("return [...document.querySelectorAll('#ticks li')].filter(item => item.offsetParent).length")
