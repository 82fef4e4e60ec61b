"""The settings file: TOML as editors leave it, read to the typed configuration or refused in words,
and written. A byte-order mark is skipped; other encodings are named."""

from __future__ import annotations

import codecs
import json
import os
import re
import select
import time
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent.base.config import AgentConfig, Section
from agent.base.errors import ConfigError
from agent.base.explain import explain

_MAX_BYTES = 1_000_000
_MOST_PROBLEMS = 20
"""That one message names."""
_PATIENCE = 15.0
"""Seconds in which a pipe must have said everything."""
_ADVICE = (
    ("Invalid value", 'text stands in quotes, as name = "text"; numbers, true and false without'),
    ("Unescaped '\\'", "in quotes a backslash is written twice; or use 'single' quotes"),
    ("Illegal character", "text ends with its quotes on the same line; remove what cannot be seen"),
    ("Unterminated", "close what begins there, a quote or a bracket"),
    ("Unclosed", "close the bracket"),
    ("Expected '='", "a line is key = value, [section] or # a comment"),
    ("Expected ']'", "a section is [name]"),
    ("Expected newline", "one key = value on each line; text stands in quotes"),
    ("Cannot declare", "a section stands once; join the two"),
    ("Cannot overwrite", "a key stands once; remove the other line"),
    ("Duplicate", "a key stands once; remove the other line"),
    ("Invalid statement", "a line is key = value, [section] or # a comment"),
    ("Invalid initial character", "a key is letters, digits, - and _, or stands in quotes"),
)
"""By the beginning of what `tomllib` says."""
_PLACE = re.compile(r"^(.*?) \((?:at line (\d+), column (\d+)|at end of document)\)$", re.DOTALL)


def load(path: Path) -> AgentConfig:
    """Read a TOML file. Raises `ConfigError`."""
    return parse(read_toml(path), str(path))


def parse(data: dict[str, Any], origin: str) -> AgentConfig:
    """Validate a nested mapping; `origin` names it in errors.

    Raises `ConfigError` naming the offending keys.
    """
    try:
        return AgentConfig.model_validate(data)
    except ValidationError as error:
        sections = {
            name: set(type(each).model_fields)
            for name, each in AgentConfig()
            if isinstance(each, Section)
        }
        others = AgentConfig.model_fields.keys() - sections
        found = error.errors()
        problems = "; ".join(explain(each, sections, others) for each in found[:_MOST_PROBLEMS])
        if len(found) > _MOST_PROBLEMS:
            problems += f"; and {len(found) - _MOST_PROBLEMS} more"
        raise ConfigError(
            f"{origin} cannot be used: {problems}. "
            "Correct it; `fleeting config show` prints every key with its default."
        ) from None


def as_toml(config: AgentConfig) -> str:
    """Every key with its value as TOML, its description as a comment; unset keys commented out."""
    return _lines(config, "") + "".join(
        f"\n[{name}]\n{_lines(section, '')}"
        for name, section in config
        if isinstance(section, Section)
    )


def _lines(section: Section, out: str) -> str:
    for name, info in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            continue
        if info.description:
            out += "".join(f"# {line.strip()}\n" for line in info.description.splitlines())
        # TOML's basic strings are JSON's; the other values are numbers and booleans.
        text = json.dumps(str(value) if isinstance(value, Path) else value)
        out += f"# {name} =\n" if value is None else f"{name} = {text}\n"
    return out


def read_toml(path: Path) -> dict[str, Any]:
    """The content. Raises `ConfigError` naming file, line and what to do."""
    try:
        data = _bytes(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no file can have this name"
        raise ConfigError(f"{path} cannot be read: {why}. Check the path.") from None
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"{path} is larger than 1 MB. Name a file of settings.")
    try:
        found = tomllib.loads(_text(data, path) + "\n")  # so that errors at the end have a line
        zero = _has_zero(found)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML{_where(str(error))}.") from None
    except RecursionError:
        raise ConfigError(f"{path} has sections within sections, too deep. Correct it.") from None
    except ValueError:  # Python's own limit
        raise ConfigError(f"{path} has a number of thousands of digits. Correct it.") from None
    if zero:
        raise ConfigError(f"{path} has a text with a zero in it (\\u0000). Remove that.")
    return found


def _has_zero(value: object) -> bool:
    """Whether a text within holds the one character that no name of a file can have."""
    if isinstance(value, dict):
        return any(map(_has_zero, (*value, *value.values())))
    return any(map(_has_zero, value)) if isinstance(value, list) else "\0" in str(value)


def _bytes(path: Path) -> bytes:
    """Up to a byte more than is allowed. A pipe is read to its end, but not waited for for ever."""
    # without O_NONBLOCK a named pipe that nobody writes to would not even open
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:
        ready = select.poll()
        ready.register(file, select.POLLIN)
        data, until = b"", time.monotonic() + _PATIENCE
        while len(data) <= _MAX_BYTES:
            if not ready.poll(1000 * max(until - time.monotonic(), 0)):
                raise ConfigError(
                    f"{path} is a pipe or a device that did not come to an end in {_PATIENCE:g} s. "
                    "Start what writes to it first, or name a file."
                )
            part = file.read(_MAX_BYTES + 1 - len(data))
            if part == b"":
                break
            data += part or b""
    return data


def _text(data: bytes, path: Path) -> str:
    if data and not data.strip(b"\0"):
        raise ConfigError(
            f"{path} holds nothing but zeros, as a power cut leaves files. Write it anew."
        )
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data[:4]:
        raise ConfigError(
            f"{path} is UTF-16 or UTF-32, not UTF-8. Save it as UTF-8: iconv -f utf-16 -t utf-8, "
            "or the editor's menu."
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path} is not valid TOML: in line {line} stands a byte that is no UTF-8. Save it as "
            "UTF-8, for instance with iconv -f latin1 -t utf-8."
        ) from None
    # As every editor shows them; TOML knows no lone carriage return.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _where(said: str) -> str:
    """Line, column, what is wrong and what to do."""
    found = _PLACE.match(said)
    what, line, column = found.groups() if found else (said, None, None)
    place = f", line {line}, column {column}" if line else ", at its end" if found else ""
    advice = next(
        (text for begins, text in _ADVICE if what.startswith(begins)), "correct that line"
    )
    return f"{place}: {what}. {advice[0].upper()}{advice[1:]}"
