"""How a broker is reached: over TLS, or without on a link that cannot leave the building."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

from agent.base.errors import reason
from tools.common.errors import ToolError


def is_near(host: str) -> bool:
    """Whether a host is this machine or on a link that is not routed (RFC 3927), by its name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_link_local


def check_plain(host: str, setting: str) -> None:
    """Raises `ToolError` where TLS is off and the broker is elsewhere."""
    if not is_near(host):
        raise ToolError(
            f"{setting} is without TLS, but {host} is another machine. Use TLS (in fleet.toml: "
            "broker.tls = true, or amqps)."
        )


def context(place: Path) -> ssl.SSLContext:
    """With operator.pem, operator.key and ca.pem of a folder. Raises `ToolError`."""
    try:
        made = ssl.create_default_context(cafile=str(place / "ca.pem"))
        made.load_cert_chain(place / "operator.pem", place / "operator.key")
    except (OSError, ssl.SSLError) as error:
        raise ToolError(
            f"The certificate in {place} cannot be used: {reason(error)}. "
            f"Make one: fleeting-fleet operator {place.name} {place.parents[1]}."
        ) from None
    return made
