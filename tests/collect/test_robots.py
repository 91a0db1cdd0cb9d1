"""robots.txt comes first; only its own host's name opens what it closes."""

import pytest

from tests.support.collected import everything_below

CLOSED = "User-agent: *\nDisallow: /taxa/*/*\nDisallow: /observations/*\n"


@pytest.mark.parametrize("robots", ["obey", "ignore www.inaturalist.org"])
def test_a_closed_page_is_not_opened(replica, collect, tmp_path, robots):
    replica.robots = CLOSED
    done = collect(replica, "taxa=47162", "source=browser", "licences=any", f"robots={robots}")
    assert done.returncode == 2, done.stdout
    assert "ignore 127.0.0.1" in done.stdout
    assert not [path for _, path in replica.log if path != "/robots.txt"]
    assert everything_below(tmp_path) == []


def test_a_page_does_not_tell_licences(replica, collect, tmp_path):
    done = collect(replica, "taxa=47162", "source=browser")
    assert done.returncode == 2 and "licences=any" in done.stdout
