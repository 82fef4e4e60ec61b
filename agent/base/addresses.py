"""Whether a host is near: this machine or a private network, where what is sent in the clear does
not cross the internet."""

from __future__ import annotations

import ipaddress
import re

_PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        (
            "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
            "::1/128", "fc00::/7", "fe80::/10",
        ),
    )
)  # fmt: skip
"""Loopback (RFC 1122), private (RFC 1918, RFC 4193) and link-local (RFC 3927, RFC 4291). Not
100.64.0.0/10 (RFC 6598), which a provider shares among its customers."""
LOCAL_DOMAINS = (
    "localhost", "local", "home.arpa", "internal", "lan", "home", "intranet", "private", "corp",
)  # fmt: skip
"""Never names in the public DNS: RFC 6761, RFC 6762 (also appendix G), RFC 8375, and `internal`,
which ICANN reserved in 2024."""
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")


def is_private(host: str) -> bool:
    """Whether a host is this machine or on a private network, by its name or address alone: a name
    is not looked up, whose answer anybody on the way could choose."""
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        name = host.lower().removesuffix(".")
        return bool(_NAME.fullmatch(name)) and any(
            name == domain or name.endswith(f".{domain}") for domain in LOCAL_DOMAINS
        )
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in _PRIVATE)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself, by its name (RFC 6761, 6.3) or address alone."""
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        name = host.lower().removesuffix(".")
        return name == "localhost" or name.endswith(".localhost")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback
