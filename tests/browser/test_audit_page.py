"""The audit's page in a real browser, wide and narrow: all pictures come, all links lead somewhere, nobody is asked."""

import pytest

from fishnet.audit.page import audit_page
from fishnet.audit.questions import sections_of
from tests.support.edged import edged_audit, edged_folder, many_classes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return edged_audit(edged_folder(tmp_path_factory.mktemp("photos")), tmp_path_factory.mktemp("effects"))


def links(page) -> list[str]:
    return page.run("return [...document.querySelectorAll('a')].map(a => a.getAttribute('href'))")


@pytest.mark.parametrize("width", [1280, 420])
def test_the_page_can_be_read_and_fetches_nothing(page, served, whole, width):
    page.driver.set_window_size(width, 900)
    page.open(served(audit_page(whole, name="reads the edge", sections=sections_of(whole))))
    page.await_words("class 2: the answer leans on", "What the verdicts rest on", "nothing found")
    page.check_whole(f"audit-{width}", pictures=3)
    for link in links(page):
        assert link.startswith("#") and page.run("return !!document.querySelector(arguments[0])", link)
    assert page.run("return [...document.images].every(image => image.alt)")


@pytest.mark.parametrize("width", [1200, 380])
def test_of_forty_classes_those_with_a_finding_are_seen_and_lead_to_their_chapters(page, served, whole, width):
    many = many_classes(whole, 40)
    phone = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}  # no window is so narrow
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        page.open(served(audit_page(many, name="reads the edge", sections=sections_of(many))))
        page.await_words("Fish 20 of the long name", "35 classes for which nothing was found")
        page.check_whole(f"audit-forty-{width}", pictures=7)
        first = "document.querySelector('table').querySelectorAll('td:first-child')"
        seen = page.run(f"return [...{first}].map(cell => cell.innerText)")
        assert [text[:7] for text in seen] == ["Fish 02", "Fish 20", "Fish 38", "Fish 04", "Fish 22"]
        led = page.run(
            "return [...document.querySelectorAll('td a')].map(a => document.querySelector(a.hash).innerText)"
        )
        assert [text[:7] for text in led] == ["Fish 02", "Fish 20", "Fish 38"]
        assert "Fish 07" not in page.text
        page.click("summary")
        page.await_words("Fish 07")
        assert page.run("return document.documentElement.scrollWidth <= window.innerWidth")
        widths = page.run("return [...document.images].map(image => [image.clientWidth, image.naturalWidth])")
        assert all(shown >= min(own, 600) for shown, own in widths)  # letters in a sheet stay legible
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
