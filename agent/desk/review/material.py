"""Sessions to be looked at: of a device's traces or of another program's table.

A face is named by the part of its session and its number there, a movement by its face and its
place in it: `1.2` and `1.2.5`. What a file says is checked as a stranger's: whoever has the public
key can write one.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from agent.base.types import MICRO_ACTION_UNITS, Float
from agent.desk.coding.event import LONGEST, Event, units
from agent.desk.review.errors import ReviewError
from agent.desk.review.unseal import Part
from agent.perceive.traces.recorder import FORM
from agent.privacy.window import POLARITIES

_MOST_CHUNK = 16_000_000
"""Bytes of a chunk's lines."""
_MOST_VALUES = 10_000
"""Of a strip."""


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """The facial channels around a movement."""

    begin: float
    """Seconds of the session."""
    step: float
    """Seconds."""
    values: Float
    """float32[N, C], inter-ocular distances from rest; names in `Session.channels`."""


@dataclass(frozen=True, slots=True, eq=False)
class Movement:
    """A micro-expression that the program spotted; seconds of the session."""

    onset: float
    apex: float
    offset: float
    score: float
    intensity: float
    """Inter-ocular distances."""
    polarity: str
    units: tuple[str, ...]
    """Such as `AU12`."""
    strip: Strip | None = None

    def event(self, coder: str) -> Event:
        """As a coded event."""
        return Event(
            self.onset, self.offset, self.apex, "micro", self.polarity,  # type: ignore[arg-type]
            units("+".join(self.units)), self.score, coder,
        )  # fmt: skip


@dataclass(slots=True)
class FaceTrace:
    """What one face did: rows in order of time."""

    times: list[float] = field(default_factory=list)
    units: list[Sequence[float]] = field(default_factory=list)
    """Of `Session.units`, in [0, 1]; NaN where unknown."""
    valence: list[float] = field(default_factory=list)
    arousal: list[float] = field(default_factory=list)
    """In [-1, 1]; NaN where unknown."""
    pose: list[tuple[float, float, float]] = field(default_factory=list)
    """Yaw, pitch, roll in degrees (`agent.base.types.Pose`); NaN where unknown."""
    movements: list[Movement] = field(default_factory=list)

    def add(
        self,
        time: float,
        units: Sequence[float],
        valence: float,
        arousal: float,
        pose: tuple[float, float, float],
    ) -> None:
        """One row."""
        self.times.append(time)
        self.units.append(units)
        self.valence.append(valence)
        self.arousal.append(arousal)
        self.pose.append(pose)

    def unit_array(self) -> NDArray[np.float32]:
        """float32[N, K]."""
        return np.array(self.units, np.float32).reshape(len(self.times), -1)


@dataclass(slots=True)
class Session:
    """All that is known of one."""

    name: str
    """32 hex digits."""
    label: str
    kind: Literal["trace", "table"]
    units: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    day: str | None = None
    faces: dict[str, FaceTrace] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What is missing of it, in words."""

    @property
    def seconds(self) -> float:
        """To the last row or movement."""
        ends = [face.times[-1] for face in self.faces.values() if face.times]
        ends += [each.offset for face in self.faces.values() for each in face.movements]
        return max(ends, default=0.0)

    def movements(self) -> dict[str, Movement]:
        """All, by name."""
        return {
            f"{name}.{n}": each
            for name, face in self.faces.items()
            for n, each in enumerate(face.movements, 1)
        }


def of_parts(parts: Iterable[Part]) -> Session:
    """A session from its parts, in order. Raises `ReviewError`."""
    session: Session | None = None
    expected = 1
    for part in parts:
        if session is None:
            session = Session(part.session, part.session[:8], "trace")
        if part.number != expected:
            session.notes.append(f"part {expected} is missing")
        expected = part.number + 1
        if not part.whole:
            session.notes.append(f"part {part.number} was cut off")
        try:
            _add_part(session, part)
        except (ValueError, KeyError, TypeError, zlib.error, RecursionError) as error:
            raise ReviewError(
                f"Part {part.number} of session {part.session[:8]} is not of the form that is "
                f"read here ({type(error).__name__}). Was it written by a newer version?"
            ) from None
    if session is None:
        raise ReviewError("A session has no parts.")
    return session


def _add_part(session: Session, part: Part) -> None:
    step = 0.0
    # chunk by chunk: together they may unpack to far more than there is memory
    lines = (line for chunk in part.chunks for line in _unpacked(chunk).splitlines())
    for number, line in enumerate(lines):
        said = json.loads(line)
        if number == 0:
            if said["form"] != FORM:
                raise ValueError
            session.day = session.day or _day(said["day"])
            session.units = tuple(map(_name, said["units"]))
            session.channels = tuple(map(_name, said["channels"]))
            step = _within(said["step"], 0.001, 1)
        elif "face" in said:
            _face(session, part, said["face"]).add(
                _within(said["t"], 0, LONGEST),
                _row(said["units"], len(session.units)),
                _within(said["valence"], -100, 100) / 100,
                _within(said["arousal"], -100, 100) / 100,
                _pose(said["pose"]),
            )
        elif "movement" in said:
            found = _movement(said, step, len(session.channels))
            _face(session, part, said["movement"]).movements.append(found)


def _unpacked(chunk: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    out = unpacker.decompress(chunk, _MOST_CHUNK)
    if not unpacker.eof:
        raise ValueError
    return out


def _face(session: Session, part: Part, number: Any) -> FaceTrace:
    name = f"{part.number}.{int(_within(number, 1, 1e6))}"
    return session.faces.setdefault(name, FaceTrace())


def _movement(said: dict[str, Any], step: float, channels: int) -> Movement:
    onset, apex, offset = (_within(each, 0, LONGEST) for each in said["times"])
    if not onset <= apex <= offset or said["polarity"] not in POLARITIES:
        raise ValueError
    named = tuple(each for each in MICRO_ACTION_UNITS if each in said["units"])
    strip = None
    if "strip" in said:
        begin, rows = said["strip"]
        values = np.array(rows, np.float32) / 1e4
        if values.shape[1:] != (channels,) or len(values) > _MOST_VALUES:
            raise ValueError
        strip = Strip(_within(begin, 0, LONGEST), step, values)
    return Movement(
        onset, apex, offset, _within(said["score"], 0, 100) / 100,
        _within(said["intensity"], 0, 1e5) / 1e4, said["polarity"], named, strip,
    )  # fmt: skip


def _row(values: Any, wanted: int) -> tuple[float, ...]:
    row = tuple(math.nan if each is None else _within(each, 0, 100) / 100 for each in values)
    if len(row) != wanted:
        raise ValueError
    return row


def _pose(values: Any) -> tuple[float, float, float]:
    yaw, pitch, roll = (_within(each, -180, 180) for each in values)
    return yaw, pitch, roll


def _within(value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ValueError
    return float(value)


def _name(value: Any) -> str:
    if not (
        isinstance(value, str) and value.isascii() and value.isidentifier() and len(value) < 40
    ):
        raise ValueError
    return value


def _day(value: Any) -> str | None:
    if value is None:
        return None
    if not (isinstance(value, str) and len(value) == 10 and value.replace("-", "").isdecimal()):
        raise ValueError
    return value
