"""Where a webhook may go. Somebody chose the URL, but its name's addresses are not theirs: they are
resolved once for each request, looked at, and that very address is connected to."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tools.common.errors import ToolError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Sequence[str]]
_LONGEST = 2000
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")
_METADATA = tuple(
    ipaddress.ip_network(each)
    for each in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "fd20:ce::254/128",
                 "100.100.100.200/32", "168.63.129.16/32")
)  # fmt: skip
"""Link-local networks, and where clouds give a machine's own credentials to whoever asks."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class AddressError(ToolError):
    """A URL or an address that no webhook may have."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, taken apart."""

    tls: bool
    host: str
    """Without brackets."""
    port: int
    path: str
    """With query."""
    origin: str
    """What may be shown: the rest of a URL is often a secret."""

    @property
    def header(self) -> str:
        """For `Host`."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.tls else 80) else f"{name}:{self.port}"


def parse(url: str) -> Target:
    """Raises `AddressError`."""
    if len(url) > _LONGEST or not url.isascii() or not url.isprintable() or " " in url:
        raise AddressError("A webhook's URL is up to 2000 printable ASCII characters, no spaces.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressError(f"{url[:80]!r} is no URL: {error}.") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise AddressError(f"{url[:80]!r} is no https URL. Give https://HOST/PATH.")
    if "@" in parts.netloc or parts.fragment:
        raise AddressError("A webhook's URL names no user and no fragment: the signature proves "
                           "who sends.")  # fmt: skip
    name = parts.netloc[: parts.netloc.rindex(":")] if port is not None else parts.netloc
    if not _HOST.fullmatch(name.rstrip(":")) or port == 0:
        raise AddressError(f"{parts.netloc[:80]!r} is no host. Give https://HOST:PORT/PATH.")
    tls = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.hostname
    return Target(tls, host, port or (443 if tls else 80), path, f"{parts.scheme}://{parts.netloc}")


def resolve(host: str, port: int) -> list[str]:
    """Its addresses. Raises `OSError`."""
    return [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def choose(target: Target, allowed: Iterable[Network] = (), resolver: Resolver = resolve) -> str:
    """The address to connect to, and no other. All that the name has must be permitted: a name with
    one that is not is somebody's trick, or somebody's mistake. Raises `AddressError`, `OSError`."""
    found = [ipaddress.ip_address(each.partition("%")[0]) for each in
             resolver(target.host, target.port)]  # fmt: skip
    if not found:
        raise AddressError(f"{target.host} has no address.")
    for each in found:
        check(target, each, list(allowed))
    return str(found[0])


def check(target: Target, given: Address, allowed: Sequence[Network]) -> None:
    """Raises `AddressError`."""
    address = _inner(given)
    if any(address in network or given in network for network in allowed):
        return
    inside = address.is_loopback or (address.is_private and not address.is_unspecified)
    barred = (
        address.is_link_local
        or any(address in network for network in _METADATA)
        or address.is_unspecified
        or address.is_multicast
        or (address.is_reserved and not address.is_loopback)
        or address == ipaddress.ip_address("255.255.255.255")
    )
    if barred:
        raise AddressError(
            f"{target.host} is at {given}, which no webhook may reach: link-local, a cloud's "
            "metadata, or no host. If it is meant, say so: --allow NETWORK."
        )
    if not target.tls and not inside:
        raise AddressError(f"{target.origin} is beyond private networks: only https goes there.")


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address.teredo is not None:
            return address.teredo[1]
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
