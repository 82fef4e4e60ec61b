"""What it takes to get in at the broker: password and certificates, read once at the start."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from agent.base.config import MqttConfig
from agent.base.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Access:
    """Read before the process is sealed, so that a wrong file is found at the start."""

    password: str | None
    tls: ssl.SSLContext | None


def open_access(params: MqttConfig) -> Access:
    """Read password and certificates. Raises `ConfigError` naming the file."""
    password = None
    if params.password_file is not None:
        try:
            password = params.password_file.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"mqtt.password_file {params.password_file} cannot be read: {error}. "
                "Check the path and its permissions."
            ) from None
    return Access(password, _tls(params) if params.tls else None)


def _tls(params: MqttConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=params.ca_file)
        if params.cert_file and params.key_file:
            context.load_cert_chain(params.cert_file, params.key_file)
    except (OSError, ssl.SSLError) as error:
        named = [str(each) for each in (params.ca_file, params.cert_file, params.key_file) if each]
        raise ConfigError(
            f"The TLS files {', '.join(named)} cannot be used: {error}. They must exist and be PEM."
        ) from None
    return context
