"""Which addresses may be asked at all: known hosts on public machines, checked for every hop and again at connect time.

An address from outside may lead anywhere: to this machine, to the router, to a cloud's metadata. Names are compared
with a list before anything is resolved; what they resolve to is checked where the socket is made, so that a name that
answers differently the second time gains nothing.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable, Iterator
from urllib.request import getproxies

from yarl import URL

from fishnet.errors import BadInput

UNNAMED = ("is none of the usual ones, and was not named in hosts=", "is not among the hosts that may be asked")
PORTS = {"http": 80, "https": 443}
_LOCAL = re.compile(r"(^|\.)(localhost|local|localdomain|internal|intranet|lan|home|corp|arpa|onion)$")
_NAME = re.compile(r"(?=.{4,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_EMBEDDED = ipaddress.ip_network("64:ff9b::/96")


class Forbidden(Exception):
    """An address that must not be asked; the message says why."""


class Gate:
    """Decides which addresses may be asked: `hosts` with public names, and host:port that the user has `trusted`."""

    def __init__(self, hosts: Iterable[str] = (), trusted: Iterable[str] = ()) -> None:
        self._hosts = {host.lower() for host in hosts}
        self._trusted = {name.lower() for name in trusted}
        self._proxies = set(_proxies())
        self._known_sockets: set[tuple[str, int]] = set()

    def allow(self, *hosts: str) -> None:
        self._hosts.update(host.lower() for host in hosts)

    def check(self, url: str | URL) -> URL:
        """The address as the client will see it; Forbidden says why it may not be asked."""
        text = str(url)
        if len(text) > 2048 or not text.isascii() or re.search(r"[\x00-\x20\x7f\\]", text):
            raise Forbidden("the address holds signs that no address holds")
        try:
            address = url if isinstance(url, URL) else URL(text, encoded=True)
            host, port = address.host or "", address.port
        except ValueError as error:
            raise Forbidden(f"not an address ({error})") from error
        if address.scheme not in PORTS:
            raise Forbidden(f"{address.scheme or 'no scheme'}: only http and https are asked")
        if address.user is not None or address.password is not None or "@" in address.raw_authority:
            raise Forbidden("the address holds a user name")
        if socket_name(host, port) in self._trusted:
            return address
        if port != PORTS[address.scheme]:
            raise Forbidden(f"port {port} of {host} {UNNAMED[0]}")
        if host not in self._hosts:
            raise Forbidden(f"{host or 'no host'} {UNNAMED[1]}")
        if not public_name(host):
            raise Forbidden(f"{host} is not the name of a public machine")
        return address

    def learn(self, host: str, port: int, addresses: Iterable[str]) -> None:
        """Note what a name has just resolved to; for a host that the user named, private addresses are allowed too."""
        if socket_name(host, port) in self._trusted | self._proxies:
            self._known_sockets.update((address, port) for address in addresses)

    def may_connect(self, address: str, port: int) -> bool:
        """Whether a socket to this numeric address may be made."""
        named = socket_name(address, port) in self._trusted | self._proxies
        return named or (address, port) in self._known_sockets or is_public(address)

    def make_socket(self, info: tuple) -> socket.socket:
        """Make the socket of a connection for aiohttp: the only check that literal addresses pass as well."""
        family, kind, protocol, _, target = info
        if not self.may_connect(target[0], target[1]):
            raise ForbiddenAddress(f"{target[0]} is not a public machine")
        return socket.socket(family, kind, protocol)


class ForbiddenAddress(OSError):
    """A forbidden address inside aiohttp, which handles every OSError of a connection."""


def _proxies() -> Iterator[str]:
    """host:port of the environment's proxies; whoever sets those decides where the way to the network begins."""
    for scheme, proxy in getproxies().items():
        if not proxy or scheme == "no":
            continue
        try:
            address = URL(proxy if "://" in proxy else f"http://{proxy}")
        except ValueError as error:
            raise BadInput(f"{scheme}_proxy in the environment is no address of a proxy ({error}).") from error
        if address.host:
            yield socket_name(address.host, address.port)


def socket_name(host: str, port: int | None) -> str:
    """host:port as users write it, with brackets around an address of IPv6."""
    return f"[{host.lower()}]:{port}" if ":" in host else f"{host.lower()}:{port}"


def host_of(url: str | URL) -> str:
    """The host whose limits a request counts against, with any unusual port; empty for what is no address."""
    try:
        address = URL(url, encoded=True) if isinstance(url, str) else url
        host, port = address.host or "", address.port
    except ValueError:
        return ""
    return host.lower() if port in PORTS.values() or port is None else socket_name(host, port)


def public_name(host: str) -> bool:
    """A dotted name that can be looked up; an address in any notation has to be named by the user."""
    return _NAME.fullmatch(host) is not None and _LOCAL.search(host) is None


def is_public(address: str) -> bool:
    """Whether an address belongs to the internet; also looks inside IPv6 addresses that carry one of IPv4."""
    try:
        ip = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _EMBEDDED else None
        if inside := ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None) or embedded:
            return is_public(str(inside))
        if ip.is_site_local:
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback)
