"""Checks of the broker's credentials before they are used: who may read the files, and whether a
password would cross a public network in the clear."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

from agent.base.config import MqttConfig
from agent.base.errors import ConfigError, reason
from agent.base.files import read_secret, refuse_writable

_MAX_BYTES = 65_535
"""Of a password (MQTT 5.0, 3.1.3.6) or PEM file."""
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
_LOCAL_DOMAINS = (
    "localhost", "local", "home.arpa", "internal", "lan", "home", "intranet", "private", "corp",
)  # fmt: skip
"""Never names in the public DNS: RFC 6761, RFC 6762 (also appendix G), RFC 8375, and `internal`,
which ICANN reserved in 2024."""
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")


def refuse_plaintext(params: MqttConfig) -> None:
    """Raises `ConfigError` where user name or password would be sent without TLS to a broker beyond
    this machine and private networks."""
    if params.tls or params.plaintext_credentials or not (params.username or params.password_file):
        return
    if not is_private(params.host):
        raise ConfigError(
            f"mqtt.username and mqtt.password_file would go to mqtt.host = {params.host!r} without "
            "TLS, and that is neither an address of a private network nor a name that ends in "
            f".{', .'.join(_LOCAL_DOMAINS)}. Set mqtt.tls = true; name the broker by its private "
            "address; or set mqtt.plaintext_credentials = true if the way there is protected "
            "otherwise, as by a VPN."
        )


def is_private(host: str) -> bool:
    """Whether a host is this machine or on a private network, by its name or address alone: a name
    is not looked up, whose answer anybody on the way could choose."""
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        name = host.lower().removesuffix(".")
        return bool(_NAME.fullmatch(name)) and any(
            name == domain or name.endswith(f".{domain}") for domain in _LOCAL_DOMAINS
        )
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in _PRIVATE)


def read_password(path: Path) -> str:
    """The file's content without its last line end. Raises `ConfigError`."""
    try:
        content = read_secret(path, "mqtt.password_file", _MAX_BYTES, roots_group=True)
        return content.decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"mqtt.password_file {path} cannot be read: {reason(error)}. Check the path and its "
            "permissions."
        ) from None


def check_tls_files(params: MqttConfig) -> None:
    """Raises `ConfigError`, and `OSError` where a file is missing."""
    if params.ca_file:
        refuse_writable(params.ca_file, "mqtt.ca_file")
    if params.cert_file:
        refuse_writable(params.cert_file, "mqtt.cert_file")
        with params.cert_file.open("rb") as file:
            if b"PRIVATE KEY-----" in file.read(_MAX_BYTES):
                # The key stands in the same file.
                read_secret(params.cert_file, "mqtt.cert_file", 0, roots_group=True)
    if params.key_file:
        read_secret(params.key_file, "mqtt.key_file", 0, roots_group=True)
