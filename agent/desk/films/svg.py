"""Drawings as SVG inside a page: classes in place of colours, titles where a pointer rests."""

from __future__ import annotations

from html import escape

from agent.base.names import one_line
from agent.desk.films.drawing import Area, Drawing, Line, Mark, Rect, Shape, Text


def as_svg(drawing: Drawing, label: str) -> str:
    """`label`: what the picture shows, for who cannot see it."""
    shapes = "".join(map(_shape, drawing.shapes))
    return (
        f'<svg viewBox="0 0 {drawing.width:.0f} {drawing.height:.0f}" role="img" '
        f'aria-label="{quoted(label)}">{shapes}</svg>'
    )


def quoted(text: object) -> str:
    """Text for HTML, also within an attribute; what does not print is escaped visibly."""
    return escape(one_line(text), quote=True)


def _shape(shape: Shape) -> str:
    if isinstance(shape, Rect):
        head = (
            f'<rect x="{_n(shape.x)}" y="{_n(shape.y)}" width="{_n(shape.width)}" '
            f'height="{_n(shape.height)}" class="f-{shape.fill}"{_faint(shape.opacity)}'
        )
        return _tipped(head, "rect", shape.tip)
    if isinstance(shape, Line):
        dash = ' stroke-dasharray="4 3"' if shape.dashed else ""
        return (
            f'<polyline points="{_points(shape.points)}" class="l s-{shape.stroke}" '
            f'stroke-width="{_n(shape.width)}"{dash}{_faint(shape.opacity)}/>'
        )
    if isinstance(shape, Area):
        return (
            f'<polygon points="{_points(shape.points)}" '
            f'class="f-{shape.fill}"{_faint(shape.opacity)}/>'
        )
    if isinstance(shape, Mark):
        return _mark(shape)
    assert isinstance(shape, Text)
    anchor = "" if shape.anchor == "start" else f' text-anchor="{shape.anchor}"'
    bold = ' font-weight="600"' if shape.bold else ""
    return (
        f'<text x="{_n(shape.x)}" y="{_n(shape.y)}" font-size="{_n(shape.size)}" '
        f'class="f-{shape.fill}"{anchor}{bold}>{quoted(shape.text)}</text>'
    )


def _mark(mark: Mark) -> str:
    if mark.round:
        head = f'<circle cx="{_n(mark.x)}" cy="{_n(mark.y)}" r="{_n(mark.radius)}"'
        return _tipped(f'{head} class="f-{mark.fill}"', "circle", mark.tip)
    points = (
        (mark.x, mark.y - mark.radius),
        (mark.x + mark.radius, mark.y),
        (mark.x, mark.y + mark.radius),
        (mark.x - mark.radius, mark.y),
    )
    head = f'<polygon points="{_points(points)}" class="f-{mark.fill}"'
    return _tipped(head, "polygon", mark.tip)


def _tipped(head: str, element: str, tip: str) -> str:
    return f"{head}><title>{quoted(tip)}</title></{element}>" if tip else f"{head}/>"


def _points(points: tuple[tuple[float, float], ...]) -> str:
    return " ".join(f"{_n(x)},{_n(y)}" for x, y in points)


def _faint(opacity: float) -> str:
    return "" if opacity == 1.0 else f' opacity="{_n(opacity)}"'


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
