"""Hostile addresses are refused before anything is asked, and at the socket if they come that far."""

import asyncio
import socket

import pytest

from fishnet.collect.fetching import Fetcher, Unusable
from fishnet.collect.politeness import Limits, Politeness
from fishnet.collect.url_guard import Forbidden, ForbiddenAddress, Gate, host_of, is_public, public_name

GOOD = "photos.example.org"
HOSTILE = [
    "http://127.0.0.1/a.jpg",
    "http://127.1/a.jpg",
    "http://0x7f.0.0.1/a.jpg",
    "http://2130706433/a.jpg",
    "http://0177.0.0.1/a.jpg",
    "http://0/a.jpg",
    "http://0.0.0.0/a.jpg",
    "http://localhost/a.jpg",
    "http://localhost.localdomain/a.jpg",
    "http://photos.localhost/a.jpg",
    "http://10.0.0.1/a.jpg",
    "http://172.16.0.1/a.jpg",
    "http://192.168.1.1/a.jpg",
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://[::1]/a.jpg",
    "http://[::]/a.jpg",
    "http://[::ffff:127.0.0.1]/a.jpg",
    "http://[64:ff9b::7f00:1]/a.jpg",
    "http://[fe80::1]/a.jpg",
    "http://[fd00:ec2::254]/a.jpg",
    "http://100.64.0.1/a.jpg",
    "http://224.0.0.1/a.jpg",
    "http://255.255.255.255/a.jpg",
    "file:///etc/passwd",
    "ftp://photos.example.org/a.jpg",
    "gopher://photos.example.org/a.jpg",
    "data:image/png;base64,AAAA",
    "javascript:alert(1)",
    "//photos.example.org/a.jpg",
    "photos.example.org/a.jpg",
    "",
    "http:///a.jpg",
    "http://photos.example.org@127.0.0.1/a.jpg",
    "http://user:word@photos.example.org/a.jpg",
    "http://photos.example.org:22/a.jpg",
    "http://photos.example.org:99999/a.jpg",
    "http://photos.example.org.evil.net/a.jpg",
    "http://evil.net/photos.example.org/a.jpg",
    "http://evil.net#photos.example.org/a.jpg",
    "http://photos.example.org\\@127.0.0.1/a.jpg",
    "http://photos.example.org/a.jpg\r\nHost: 127.0.0.1",
    "http://photos.example.org%00.evil.net/a.jpg",
    "http://127。0。0。1/a.jpg",
    "http://ｐhotos.example.org/a.jpg",
    "http://photos.example.org./a.jpg",
    "http://printer/a.jpg",
    "http://intranet.corp/a.jpg",
    "http://photos.example.org/" + "a" * 3000,
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_address_is_refused(url):
    with pytest.raises(Forbidden):
        Gate([GOOD]).check(url)


def test_there_are_at_least_forty_and_the_good_one_passes():
    assert len(set(HOSTILE)) >= 40
    assert str(Gate([GOOD]).check(f"https://{GOOD}/photos/1/medium.jpg?12")) == f"https://{GOOD}/photos/1/medium.jpg?12"


def test_a_list_that_names_such_hosts_gains_nothing():
    assert [
        host for host in ("127.0.0.1", "localhost", "2130706433", "printer", "a.internal", "[::1]") if public_name(host)
    ] == []
    assert public_name("upload.wikimedia.org")


@pytest.mark.parametrize(
    ("address", "public"),
    [("8.8.8.8", True), ("2606:4700::1111", True), ("10.1.2.3", False), ("::ffff:10.1.2.3", False),
     ("64:ff9b::a00:1", False), ("2002:7f00:1::", False), ("fe80::1%eth0", False), ("fec0::1", False),
     ("nonsense", False)],
)  # fmt: skip
def test_what_is_public(address, public):
    assert is_public(address) is public


def test_an_address_of_ipv6_that_the_user_has_named_may_be_asked():
    gate = Gate([GOOD], ["[::1]:8000"])
    assert str(gate.check("http://[::1]:8000/a.jpg")) == "http://[::1]:8000/a.jpg"
    assert gate.may_connect("::1", 8000) and not gate.may_connect("::1", 8001)
    with pytest.raises(Forbidden):
        gate.check("http://[::1]:8001/a.jpg")


def test_a_host_is_one_however_its_usual_port_is_written():
    assert {host_of(f"https://{host}/a.jpg") for host in (GOOD, f"{GOOD}:443", GOOD.upper())} == {GOOD}
    assert host_of("http://127.0.0.1:8000/a") == "127.0.0.1:8000"
    assert host_of("http://[::1]:8000/a") == "[::1]:8000"
    assert host_of("http://[bad") == ""


def test_no_socket_is_made_to_a_private_address():
    info = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))
    with pytest.raises(ForbiddenAddress):
        Gate([GOOD]).make_socket(info)
    Gate([GOOD], ["127.0.0.1:80"]).make_socket(info).close()


def test_a_name_that_resolves_to_this_machine_is_refused_where_the_socket_is_made(tmp_path, monkeypatch):
    """What a DNS server of somebody else's says is not believed, however often it changes its mind."""
    asked = []

    async def lies(self, host, port, **_):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", lies)
    monkeypatch.setattr("fishnet.collect.fetching.ATTEMPTS", 1)

    async def fetched():
        polite = Politeness(Limits(), folder=tmp_path)
        async with Fetcher(Gate([GOOD]), polite, deadline=5) as fetcher:
            await fetcher.photo(f"http://{GOOD}/a.jpg", None)

    with pytest.raises(Unusable, match="not a public machine"):
        asyncio.run(fetched())
    assert asked == [GOOD]
