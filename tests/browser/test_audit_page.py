"""The audit's page in a real browser, wide and narrow: all pictures come, all links lead somewhere, nobody is asked."""

import pytest

from fishnet.audit.page import audit_page
from fishnet.audit.questions import sections_of
from tests.support.edged import edged_audit, edged_folder

pytestmark = pytest.mark.slow


@pytest.fixture
def address(served, tmp_path):
    (tmp_path / "photos").mkdir()
    whole = edged_audit(edged_folder(tmp_path / "photos"), tmp_path / "effects")
    return served(audit_page(whole, name="reads the edge", sections=sections_of(whole)))


@pytest.mark.parametrize("width", [1280, 420])
def test_the_page_can_be_read_and_fetches_nothing(page, address, width):
    page.driver.set_window_size(width, 900)
    page.open(address)
    page.await_words("class 2: the answer leans on", "What the verdicts rest on", "nothing found")
    page.check_whole(f"audit-{width}", pictures=3)
    for link in page.run("return [...document.querySelectorAll('a')].map(a => a.getAttribute('href'))"):
        assert link.startswith("#") and page.run("return !!document.querySelector(arguments[0])", link)
    assert page.run("return [...document.images].every(image => image.alt)")
