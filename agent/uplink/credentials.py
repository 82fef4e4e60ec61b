"""Checks of the broker's credentials before they are used: who may read the files, and whether a
password would cross a public network in the clear."""

from __future__ import annotations

from pathlib import Path

from agent.base.addresses import LOCAL_DOMAINS, is_private
from agent.base.config import MqttConfig
from agent.base.errors import ConfigError, reason
from agent.base.files import read_secret, refuse_writable

_MAX_BYTES = 65_535
"""Of a password (MQTT 5.0, 3.1.3.6) or PEM file."""


ODD_ENDS = "The password begins or ends with a space, which is sent as part of it."


def refuse_plaintext(params: MqttConfig) -> None:
    """Raises `ConfigError` where user name or password would be sent without TLS to a broker beyond
    this machine and private networks."""
    if params.tls or params.plaintext_credentials or not (params.username or params.password_file):
        return
    if not is_private(params.host):
        raise ConfigError(
            f"mqtt.username and mqtt.password_file would go to mqtt.host = {params.host!r} without "
            "TLS, and that is neither an address of a private network nor a name that ends in "
            f".{', .'.join(LOCAL_DOMAINS)}. Set mqtt.tls = true; name the broker by its private "
            "address; or set mqtt.plaintext_credentials = true if the way there is protected "
            "otherwise, as by a VPN."
        )


def odd_ends(password: str | None) -> str:
    """What to say where a broker refuses a password that may not be the one that was meant: spaces
    at its ends are sent, line ends are not."""
    if password is None or password == password.strip():
        return ""
    return ODD_ENDS


def read_password(path: Path) -> str:
    """The file's content without line ends at its end and without a byte-order mark. Raises
    `ConfigError`, also where nothing is left."""
    try:
        content = read_secret(path, "mqtt.password_file", _MAX_BYTES, roots_group=True)
        password = content.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigError(
            f"mqtt.password_file {path} is not UTF-8. Save the password anew: printf %s PASSWORD > "
            f"{path}"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"mqtt.password_file {path} cannot be read: {reason(error)}. Check the path and its "
            "permissions."
        ) from None
    if not password:
        raise ConfigError(f"mqtt.password_file {path} is empty. Write the password into it.")
    return password


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
