"""One coded facial event: when, what, by whom.

Onset, apex and offset as in the micro-expression databases (Yan et al. 2014, CASME II): first frame
of the movement, of its greatest extent, last frame. Action units, their intensities A to E and
sides after FACS (Ekman, Friesen & Hager 2002): `L12C` is unit 12 of the left side, pronounced.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from agent.base.errors import AgentError

Kind = Literal["micro", "macro", "blink", "speech", "head", "other"]
"""micro: up to half a second; macro: longer; the others are what movements were taken for."""
Polarity = Literal["positive", "negative", "surprise", "unspecified"]
Verdict = Literal["agree", "disagree", "cannot tell"]
"""What a coder says of another's event."""
LONGEST = 1e6
"""Seconds into a film, eleven days."""
_MOST_TEXT = 10_000
_MOST_NAME = 100
_UNIT = re.compile(r"([LRUBTlrub]?)0*([1-9]\d?)([A-Ea-e]?)\Z")


class CodingError(AgentError):
    """A file of coded events cannot be read or written."""


@dataclass(frozen=True, slots=True, order=True)
class Unit:
    """One action unit."""

    number: int
    """1 to 99, FACS."""
    intensity: str = ""
    """A to E; empty: not coded."""
    side: str = ""
    """L or R: of the person; empty: both."""

    def __str__(self) -> str:
        return f"{self.side}{self.number}{self.intensity}"


@dataclass(frozen=True, slots=True)
class Event:
    """Seconds from the film's start; `onset` <= `apex` <= `offset`. Raises `ValueError`."""

    onset: float
    offset: float
    apex: float | None = None
    kind: Kind = "micro"
    polarity: Polarity | None = None
    units: tuple[Unit, ...] = ()
    score: float | None = None
    """In [0, 1]; None: by a person, or unknown."""
    coder: str = ""
    """Who or what coded it."""
    verdict: Verdict | None = None
    comment: str = ""

    def __post_init__(self) -> None:
        times = (self.onset, self.offset if self.apex is None else self.apex, self.offset)
        if not all(math.isfinite(time) for time in times):
            raise ValueError("a time is no number")
        if not 0 <= times[0] <= times[1] <= times[2] <= LONGEST:
            raise ValueError(
                f"0 <= onset <= apex <= offset <= {LONGEST:.0f} s does not hold: "
                + ", ".join(f"{time:g}" for time in times)
            )
        if self.score is not None and not 0 <= self.score <= 1:
            raise ValueError(f"score is {self.score:g}, it lies in [0, 1]")
        for name, value, allowed in (
            ("kind", self.kind, get_args(Kind)),
            ("polarity", self.polarity, (None, *get_args(Polarity))),
            ("verdict", self.verdict, (None, *get_args(Verdict))),
        ):
            if value not in allowed:
                known = ", ".join(str(each) for each in allowed if each is not None)
                raise ValueError(f"{name} is {value!r}; known are {known}")
        _check_text("comment", self.comment, _MOST_TEXT, "\t\n")
        _check_text("coder", self.coder, _MOST_NAME, "")
        if self.coder != self.coder.strip():
            raise ValueError("coder begins or ends with a space")

    @property
    def code(self) -> str:
        """FACS code, such as `1+2+L12C`; empty where no unit was coded."""
        return "+".join(map(str, self.units))


def _check_text(name: str, text: str, most: int, spaces: str) -> None:
    if len(text) > most:
        raise ValueError(f"{name} has {len(text)} characters, {most} is the most")
    for char in text:
        # controls, surrogates and non-characters: XML cannot hold them
        odd = unicodedata.category(char) in ("Cc", "Cs") or ord(char) & 0xFFFE == 0xFFFE
        if odd and char not in spaces:
            raise ValueError(f"{name} holds the character U+{ord(char):04X}")


def units(code: str) -> tuple[Unit, ...]:
    """Units of a FACS code; separated by `+`, commas, semicolons or spaces, each perhaps with `AU`
    before it. `U`, `B`, `T` and small letters before a number (unilateral, both, top) are read
    as both sides. Raises `ValueError`."""
    found = []
    for part in re.split(r"[+,;\s]+", code.strip()):
        if not part:
            continue
        bare = re.sub(r"(?i)AU(?=\d)", "", part)
        match = _UNIT.match(bare)
        if match is None:
            raise ValueError(f"{part[:20]!r} is no action unit, such as 12, AU12 or L12C")
        side, number, intensity = match.groups()
        side = side.upper() if side.upper() in ("L", "R") else ""
        found.append(Unit(int(number), intensity.upper(), side))
    return tuple(found)


def in_order(events: Iterable[Event]) -> list[Event]:
    """By onset, of equals by offset."""
    return sorted(events, key=lambda event: (event.onset, event.offset, event.kind, event.coder))


def lanes(events: Iterable[Event]) -> list[list[Event]]:
    """Events apart so that none of a lane overlaps or touches another of it; first fit in order of
    onset, which needs as few lanes as there are at once."""
    found: list[list[Event]] = []
    for event in in_order(events):
        free = next((lane for lane in found if lane[-1].offset < event.onset), None)
        if free is None:
            found.append([event])
        else:
            free.append(event)
    return found
