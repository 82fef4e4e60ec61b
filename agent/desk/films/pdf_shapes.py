"""A drawing's shapes on Matplotlib's axes, in batches: thousands of artists would take seconds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

from agent.desk.films.drawing import Area, Drawing, Line, Mark, Rect, Shape, Text
from agent.desk.films.palette import light
from agent.desk.sheet import font

_TYPE = 0.94
"""The font is that much wider than a browser's."""
_CORNERS = 20
"""Of a disc."""


def draw_shapes(axes: Any, drawing: Drawing, left: float, top: float, scale: float) -> None:
    """Draw on axes in points, y down; a unit of the drawing is `scale` points."""
    from matplotlib.collections import LineCollection, PolyCollection

    for order, (kind, batch) in enumerate(itertools.groupby(drawing.shapes, _kind), 10):
        shapes = list(batch)
        if kind == "text":
            for shape in shapes:
                assert isinstance(shape, Text)
                _text(axes, shape, left, top, scale, order)
        elif kind == "line":
            lines = [shape for shape in shapes if isinstance(shape, Line)]
            axes.add_collection(
                LineCollection(
                    [_moved(line.points, left, top, scale) for line in lines],
                    colors=[_rgba(line.stroke, line.opacity) for line in lines],
                    linewidths=[line.width * scale for line in lines],
                    linestyles=["--" if line.dashed else "-" for line in lines],
                    zorder=order, capstyle="round", joinstyle="round",
                )
            )  # fmt: skip
        else:
            areas = [_corners(shape) for shape in shapes]
            axes.add_collection(
                PolyCollection(
                    [_moved(points, left, top, scale) for points, _, _ in areas],
                    facecolors=[_rgba(role, opacity) for _, role, opacity in areas],
                    linewidths=0, zorder=order,
                )
            )  # fmt: skip


def _kind(shape: Shape) -> str:
    return "text" if isinstance(shape, Text) else "line" if isinstance(shape, Line) else "area"


def _text(axes: Any, text: Text, left: float, top: float, scale: float, order: int) -> None:
    align = {"start": "left", "middle": "center", "end": "right"}[text.anchor]
    axes.text(
        left + text.x * scale, top + text.y * scale, text.text, ha=align, va="baseline",
        fontproperties=font(text.bold, text.size * scale * _TYPE), color=light(text.fill),
        parse_math=False, zorder=order,
    )  # fmt: skip


def _corners(shape: Shape) -> tuple[Iterable[tuple[float, float]], str, float]:
    if isinstance(shape, Rect):
        x, y, right, low = shape.x, shape.y, shape.x + shape.width, shape.y + shape.height
        return ((x, y), (right, y), (right, low), (x, low)), shape.fill, shape.opacity
    if isinstance(shape, Area):
        return shape.points, shape.fill, shape.opacity
    assert isinstance(shape, Mark)
    count = _CORNERS if shape.round else 4
    turns = [2 * math.pi * each / count for each in range(count)]
    points = [
        (shape.x + shape.radius * math.sin(turn), shape.y - shape.radius * math.cos(turn))
        for turn in turns
    ]
    return points, shape.fill, 1.0


def _moved(
    points: Iterable[tuple[float, float]], left: float, top: float, scale: float
) -> list[tuple[float, float]]:
    return [(left + x * scale, top + y * scale) for x, y in points]


def _rgba(role: str, opacity: float) -> tuple[float, float, float, float]:
    colour = light(role)
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue, opacity
