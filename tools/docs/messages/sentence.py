"""One sentence of the source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["error", "warning", "note", "check", "part"]
"""An error ends what was asked for; a warning or a note is a line of the log; `check` judges a part
of the machine; a part stands inside other sentences."""
FIELD = "\0"
"""Begins and ends a placeholder in `Sentence.text`."""
REMEDY = "\1"
"""Between what is wrong and what to do, where the source itself keeps them apart."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One literal of the source."""

    text: str
    """Placeholders stand between NUL: `\\0path\\0 cannot be read.`"""
    kind: Kind
    family: str
    """The class of the error, else empty."""
    module: str
    """Such as `agent/uplink/connection.py`."""
