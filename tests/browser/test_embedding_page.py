"""The points in a real browser, wide and narrow: hover, click, zoom, drag, classes, likely wrong labels."""

from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.keys import Keys

from fishnet.commands.embed import write_embedding
from fishnet.data.folder import PhotoFolder
from fishnet.data.listing import FolderSource
from fishnet.embed.embedding import Embedding, measure, measured_positions
from fishnet.embed.plane import planes
from fishnet.embed.vectors import Vectors

pytestmark = pytest.mark.slow
ODD = 5  # a photo of the first class that lies in the cloud of the third


@pytest.fixture(scope="module")
def made(shapes, tmp_path_factory) -> tuple[Embedding, Path]:
    """Points in three clouds, one of which lies among another class; and where the page is."""
    folder = PhotoFolder(source=FolderSource(str(shapes)), cache="off")
    labels = folder.table["label"].to_numpy()
    centres = np.eye(3)[labels]
    centres[ODD] = 0.3 * centres[ODD] + 0.7 * np.eye(3)[2 - labels[ODD]]
    values = (centres + 0.05 * np.random.default_rng(0).normal(size=(len(labels), 3))).astype(np.float32)
    vectors = Vectors(np.arange(len(labels)), values, "three numbers", np.zeros(len(labels), bool))
    positions = measured_positions(folder, vectors)
    found = measure(folder, vectors, positions, seed=0)
    laid = planes(values, ["tsne", "pca"], perplexity=10, seed=0)
    embedding, out = Embedding(folder, vectors, laid, positions, found), tmp_path_factory.mktemp("embed")
    write_embedding(embedding, out)
    return embedding, out


def sized(page, width: int) -> None:
    phone = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)


@pytest.fixture(params=[1280, 390])
def opened(page, served, made, request):
    sized(page, request.param)
    page.open(served((made[1] / "page.html").read_text()))
    page.await_true(lambda: page.run("return document.querySelector('.scatter').dataset.ready"), "the points")
    page.run("document.querySelector('.plane').scrollIntoView({block: 'center'})")
    yield page
    page.picture(f"embedding-{request.param}")
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def place_of(page, made, number: int) -> tuple[int, int]:
    """Where a point of the last method is on the canvas, from its middle, before any zoom."""
    from fishnet.embed.page import FRAME, framed

    x, y = framed(made[0].planes.places["pca"])[2 * number : 2 * number + 2]
    width, height = page.run("const c = document.querySelector('canvas'); return [c.clientWidth, c.clientHeight]")
    side = min(width, height) - 40
    return round((x / FRAME - 0.5) * side), round((y / FRAME - 0.5) * side)


def drawn(page, least: int = 150) -> list[int]:
    """How many pixels of the canvas have each colour that is no grey, but for the edges between two."""
    page.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    return page.run(
        "const c = document.querySelector('canvas'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "const n = {}; for (let i = 0; i < d.length; i += 4) if (d[i + 3] === 255) {"
        " const spread = Math.max(d[i], d[i+1], d[i+2]) - Math.min(d[i], d[i+1], d[i+2]);"
        " if (spread > 60) { const k = `${d[i]},${d[i+1]},${d[i+2]}`; n[k] = (n[k] || 0) + 1; } }"
        "return Object.values(n).filter(count => count > arguments[0])",
        least,
    )


def test_a_photo_is_seen_when_pointed_at_and_kept_when_clicked(opened, made):
    canvas = opened.driver.find_element("css selector", ".plane canvas")
    across, down = place_of(opened, made, ODD)
    ActionChains(opened.driver).move_to_element_with_offset(canvas, across, down).perform()
    opened.await_true(lambda: opened.run("return !document.querySelector('.tip').hidden"), "the photo")
    assert opened.run("return document.querySelector('.tip span').textContent") == made[0].table["class"][ODD]
    shades = "const t = document.querySelector('.tip canvas'); const d = t.getContext('2d').getImageData(0, 0, t.width,"
    shades += " t.height).data; return new Set([...d].filter((_, i) => i % 4 === 0)).size"
    opened.await_true(lambda: opened.run(shades) > 20, "its pixels")
    ActionChains(opened.driver).click().perform()
    chosen = "return document.querySelector('.chosen').innerText"
    assert made[0].table["path"][ODD] in opened.run(chosen)
    assert "is its label right?" in opened.run(chosen)
    assert opened.run("return document.querySelectorAll('.near button').length") == 5
    opened.click(".near button")
    assert made[0].table["path"][ODD] not in opened.run(chosen)
    assert opened.hosts() == {"127.0.0.1"}
    assert not [line for line in opened.driver.get_log("browser") if "favicon" not in line["message"]]


def test_classes_are_left_out_and_drawn_alone(opened):
    assert len(drawn(opened)) == 3
    opened.click(".classes input")
    assert len(drawn(opened)) == 2
    opened.click(".none")
    assert not drawn(opened)
    opened.click(".every")
    opened.click(".classes li button")
    assert len(drawn(opened)) == 1
    assert opened.run("return document.querySelector('.classes li button').getAttribute('aria-pressed')") == "true"


def test_it_zooms_by_wheel_keys_and_buttons_and_shows_all_again(opened):
    before = sum(drawn(opened))
    canvas = opened.driver.find_element("css selector", ".plane canvas")
    ActionChains(opened.driver).scroll_from_origin(ScrollOrigin.from_element(canvas), 0, -900).perform()
    opened.await_true(lambda: sum(drawn(opened)) < before, "a part")  # most points lie outside now
    canvas.send_keys("0")
    assert sum(drawn(opened)) == before
    opened.click(".in")
    larger = sum(drawn(opened))
    assert larger != before
    canvas.send_keys("-")
    assert sum(drawn(opened)) == pytest.approx(before, rel=0.02)
    canvas.send_keys(Keys.ARROW_LEFT * 40)
    assert not drawn(opened)
    opened.click(".all")
    assert sum(drawn(opened)) == before


def test_likely_wrong_labels_are_led_to_and_the_plane_is_chosen(opened, made):
    assert made[0].suspects["path"].tolist() == [made[0].table["path"][ODD]]
    opened.click(".next")
    assert made[0].table["path"][ODD] in opened.run("return document.querySelector('.chosen').innerText")
    titles = "return [...document.querySelectorAll('.method option')].map(option => option.textContent)"
    assert [title[:4] for title in opened.run(titles)] == ["t-SN", "PCA "]
    opened.click(".all")
    before = opened.run("return document.querySelector('.plane canvas').toDataURL()")
    opened.run("const m = document.querySelector('.method'); m.value = 'tsne'; m.dispatchEvent(new Event('change'));")
    drawn(opened)
    assert opened.run("return document.querySelector('.plane canvas').toDataURL()") != before
    opened.run(
        "const c = document.querySelector('.colour'); c.value = 'suspects'; c.dispatchEvent(new Event('change'));"
    )
    assert len(drawn(opened, least=30)) == 1


def test_the_page_holds_all_that_it_shows(opened):
    opened.check_whole("embedding", pictures=2)
    opened.await_words("Can the classes be told apart?", "Each class against the rest")
