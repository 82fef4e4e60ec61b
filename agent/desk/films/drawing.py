"""Drawings as lists of marks: drawn once, rendered as SVG for a page and by Matplotlib for a PDF.

Units are those of the SVG: about a pixel of the page. x to the right, y down. Colours are roles
(`palette`), so that a page can be light or dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

WIDTH = 760.0
"""Of every drawing that goes over the whole page."""
LEFT = 64.0
"""Room for labels on the left of a time axis."""
Anchor = Literal["start", "middle", "end"]
Point = tuple[float, float]
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
"""Seconds between two ticks of a time axis."""
_TICKS = 10


@dataclass(frozen=True, slots=True)
class Rect:
    x: float
    y: float
    width: float
    height: float
    fill: str
    tip: str = ""
    """Shown where a pointer rests."""
    opacity: float = 1.0


@dataclass(frozen=True, slots=True)
class Line:
    points: tuple[Point, ...]
    stroke: str
    width: float = 1.0
    dashed: bool = False
    opacity: float = 1.0


@dataclass(frozen=True, slots=True)
class Area:
    """A filled polygon."""

    points: tuple[Point, ...]
    fill: str
    opacity: float = 1.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A diamond, or with `round` a disc, around a point."""

    x: float
    y: float
    radius: float
    fill: str
    tip: str = ""
    round: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    x: float
    y: float
    """Of the baseline."""
    text: str
    fill: str = "ink"
    size: float = 11.0
    anchor: Anchor = "start"
    bold: bool = False


Shape = Rect | Line | Area | Mark | Text


@dataclass(slots=True)
class Drawing:
    """Shapes, the last on top."""

    height: float
    width: float = WIDTH
    shapes: list[Shape] = field(default_factory=list)

    def add(self, *shapes: Shape) -> None:
        self.shapes += shapes

    def legend(self, y: float, entries: Iterable[tuple[str, str]], x: float = LEFT) -> float:
        """Swatches with labels, wrapped; returns the lower end."""
        at = x
        for role, label in entries:
            wide = 24 + 6.3 * len(label)
            if at + wide > self.width and at > x:
                at, y = x, y + 18
            self.add(Rect(at, y - 9, 10, 10, role), Text(at + 15, y, label, "soft"))
            at += wide
        self.height = max(self.height, y + 8)
        return y + 8


@dataclass(frozen=True, slots=True)
class Axis:
    """Time from left to right."""

    start: float
    end: float
    left: float = LEFT
    right: float = WIDTH - 8

    def x(self, time: float) -> float:
        span = max(self.end - self.start, 1e-9)
        share = min(max((time - self.start) / span, 0.0), 1.0)
        return self.left + share * (self.right - self.left)

    def draw(self, on: Drawing, top: float, bottom: float) -> None:
        """Hairlines from `top` to `bottom` and times below."""
        span = self.end - self.start
        step = next((s for s in _STEPS if span / s <= _TICKS), _STEPS[-1])
        count = min(int(span / step), 40)
        for number in range(count + 1):
            time = self.start + number * step
            x = self.x(time)
            on.add(Line(((x, top), (x, bottom)), "grid"))
            on.add(Text(x, bottom + 13, clock(time), "soft", 10, "middle"))
        on.height = max(on.height, bottom + 20)


def clock(seconds: float, tenths: bool = False) -> str:
    """`1:02:03` or `2:03`; with `tenths` `2:03.4`."""
    count = round(seconds * 10) if tenths else round(seconds) * 10
    whole, rest = divmod(max(count, 0), 10)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
    return f"{text}.{rest}" if tenths else text


def curve(
    axis: Axis, times: Sequence[float], values: Sequence[float], low: float, high: float,
    top: float, bottom: float, gap: float,
) -> list[tuple[Point, ...]]:  # fmt: skip
    """Points of a line through the finite values, in pieces where more than `gap` seconds lie
    between two. `low` is drawn at `bottom`, `high` at `top`."""
    pieces: list[list[Point]] = [[]]
    last = None
    for time, value in zip(times, values, strict=True):
        if value != value:  # NaN
            continue
        share = min(max((value - low) / (high - low), 0.0), 1.0)
        if last is not None and time - last > gap:
            pieces.append([])
        pieces[-1].append((axis.x(time), bottom - share * (bottom - top)))
        last = time
    return [tuple(piece) for piece in pieces if piece]


def draw_curve(on: Drawing, pieces: Iterable[tuple[Point, ...]], role: str, width: float) -> None:
    """Lines, and dots for points that stand alone."""
    for piece in pieces:
        if len(piece) == 1:
            on.add(Mark(*piece[0], width, role, round=True))
        else:
            on.add(Line(piece, role, width))
