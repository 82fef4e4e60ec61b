"""Types of single settings: what may be written, put into one form, and refused in words."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field


def _topic_level(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):
        raise ValueError(
            f"{text!r} cannot be part of an MQTT topic here; use 1 to 64 letters from A to Z, "
            "digits, - and _"
        )
    return text


def _hours(text: str) -> str:
    clock = r"([01]\d|2[0-3]):[0-5]\d"
    if not re.fullmatch(rf"{clock}-({clock}|24:00)", text, re.ASCII):
        raise ValueError(
            f'{text!r} is no span of local time; write it as "22:00-06:30", hours from 00 to 23, '
            "or 24:00 for midnight at its end"
        )
    return text


def _web_address(text: str) -> str:
    if text and not re.fullmatch(r"https?://[!-~]+", text):
        raise ValueError(
            f'{text!r} is no address of a web server; write it whole, as "https://updates.lan/box/"'
        )
    return text


def whole_path(text: str) -> str:
    """A path with its `~` replaced by a home folder. Raises `ValueError` where this process has
    none that it may write, as a service, and for variables, which nothing replaces."""
    if re.search(r"\$[A-Za-z_{]", text):
        raise ValueError(f"{text!r} holds a variable, which is not replaced; write the path itself")
    if not text.startswith("~"):
        return text
    home = os.path.expanduser(text[: (text + "/").index("/")])
    if home.startswith("~") or not (os.path.isdir(home) and os.access(home, os.W_OK)):
        raise ValueError(
            f"{text!r} begins with a home folder, and this process has none that it may write, as "
            'a service; write the whole path, as "/var/lib/fleeting/…"'
        )
    return home + text[(text + "/").index("/") :]


def _path(path: Path) -> Path:
    return Path(whole_path(str(path)))


_SCHEMES = {"mqtt": False, "tcp": False, "mqtts": True, "ssl": True, "tls": True}
"""Whether each is with TLS."""


def _host(text: str) -> str:
    """A name or address alone; brackets, spaces around it and the root's dot are dropped."""
    host = text.strip()
    scheme, separator, rest = host.rpartition("://")
    if "@" in rest:  # said first, and without repeating it: there may be a password
        raise ValueError(
            "holds a user before its @; write the broker's name or address alone, the user as "
            "mqtt.username, the password into a file named by mqtt.password_file"
        )
    bare, port = _split(rest.partition("/")[0])
    if separator:
        raise ValueError(_of_scheme(text, scheme.lower(), bare, port))
    if "/" in rest or port:
        number = f" and mqtt.port = {port}" if port else ""
        raise ValueError(f'{text!r} is more than a host; set mqtt.host = "{bare}"{number}')
    if _is_unspecified(bare):
        raise ValueError(
            f"{text!r} is an address to listen at; give the one at which the broker is reached, on "
            'this machine "127.0.0.1"'
        )
    if not bare or re.search(r"[\s,;\"'\\#?\[\]\x00-\x20]", bare):
        raise ValueError(f'{text!r} is no name or address; write it as "broker.lan"')
    return bare


def _of_scheme(text: str, scheme: str, bare: str, port: str) -> str:
    if scheme not in _SCHEMES:
        what = "WebSockets are" if scheme in ("ws", "wss") else f"{scheme} is"
        return (
            f'{text!r}: {what} not spoken here; set mqtt.host = "{bare}" and mqtt.port to where '
            "the broker takes MQTT over TCP, 1883 or, with TLS, 8883"
        )
    tls = _SCHEMES[scheme]
    number = port or ("8883" if tls else "1883")
    more = f", mqtt.port = {number} and mqtt.tls = true" if tls else f" and mqtt.port = {number}"
    return f'{text!r} is a whole address; set mqtt.host = "{bare}"{more}'


def _split(text: str) -> tuple[str, str]:
    """Host without brackets or the root's dot, and a port, empty where there is none."""
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(\d*))?", text)
    if bracketed:
        return bracketed[1], bracketed[2] or ""
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host.removesuffix("."), port if port.isdigit() else ""
    return text.removesuffix("."), ""


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host == "*"


TopicLevel = Annotated[str, AfterValidator(_topic_level)]
Hours = Annotated[str, AfterValidator(_hours)]
"""A span of local time, `HH:MM-HH:MM`; its end may be 24:00."""
WebAddress = Annotated[str, Field(max_length=300), AfterValidator(_web_address)]
FilePath = Annotated[Path, Field(strict=False), AfterValidator(_path)]
"""Text in TOML, which has no path type. `~` is the home folder; a relative one counts from where
the process was started."""
Host = Annotated[str, Field(max_length=255), AfterValidator(_host)]
Share = Annotated[float, Field(ge=0, le=1)]
