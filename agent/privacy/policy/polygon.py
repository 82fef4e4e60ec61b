"""Validation of staff zones as simple polygons. Without NumPy, which the uplink process does not
load.

Corners are fractions of the picture's width and height, [x, y], origin at its top left.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

from agent.base.config import Polygon
from agent.base.errors import ConfigError

Corner = tuple[float, float]

MIN_AREA = 1e-4
"""Fraction of the picture: 6 x 5 pixels of 640 x 480."""
_TOLERANCE = 1e-9
"""Twice the area below which a triangle counts as degenerate."""


def check_polygons(polygons: Sequence[Polygon], origin: str) -> None:
    """Raises `ConfigError` for a zone that is not a simple polygon within the picture.

    Nothing is repaired: that could leave an area unmasked that was meant to be. `origin` names the
    list in errors.
    """
    for number, corners in enumerate(polygons):
        problem = _problem(corners)
        if problem:
            raise ConfigError(
                f"{origin}[{number}] is no zone: {problem}. Give its corners in order around its "
                "edge, each as [x, y], shares of the picture's width and height between 0 and 1."
            )


def _problem(corners: Polygon) -> str:
    """Description of the problem; empty for a valid polygon."""
    if len(corners) < 3:
        return f"it has {len(corners)} corners, and 3 are the least"
    for number, (x, y) in enumerate(corners):
        if not (0 <= x <= 1 and 0 <= y <= 1):
            return f"corner {number} at [{x:g}, {y:g}] lies outside the picture"
    closed = [*corners, corners[0]]
    for number, (here, there) in enumerate(pairwise(closed)):
        if here == there:
            return f"corner {number} stands twice in a row"
    crossing = _crossing(closed)
    if crossing:
        return "its edge {} meets its edge {}".format(*crossing)
    area = abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(closed))) / 2
    if area < MIN_AREA:
        return f"it covers {area:.2g} of the picture, less than {MIN_AREA:g}"
    return ""


def _crossing(closed: Sequence[Corner]) -> tuple[int, int] | None:
    """Two edges that share more than a common corner; edge n begins at corner n."""
    edges = list(pairwise(closed))
    for first, second in combinations(range(len(edges)), 2):
        one, other = edges[first], edges[second]
        if second == first + 1:
            found = _folded(*one, *other)
        elif first == 0 and second == len(edges) - 1:
            found = _folded(*other, *one)
        else:
            found = _touch(*one, *other)
        if found:
            return first, second
    return None


def _folded(a: Corner, corner: Corner, _: Corner, b: Corner) -> bool:
    """Whether two edges that meet in `corner` overlap."""
    forth = (a[0] - corner[0], a[1] - corner[1])
    back = (b[0] - corner[0], b[1] - corner[1])
    same_side = forth[0] * back[0] + forth[1] * back[1] > 0
    return same_side and abs(_turn(a, corner, b)) < _TOLERANCE


def _touch(a: Corner, b: Corner, c: Corner, d: Corner) -> bool:
    """Whether the segments ab and cd have a point in common (Cormen et al., section 33.1)."""
    sides = [_sign(_turn(c, d, a)), _sign(_turn(c, d, b)), _sign(_turn(a, b, c)),
             _sign(_turn(a, b, d))]  # fmt: skip
    if sides[0] * sides[1] < 0 and sides[2] * sides[3] < 0:
        return True
    ends = ((c, d, a), (c, d, b), (a, b, c), (a, b, d))
    return any(side == 0 and _between(*end) for side, end in zip(sides, ends, strict=True))


def _turn(a: Corner, b: Corner, c: Corner) -> float:
    """Twice the signed area of a triangle."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _sign(value: float) -> int:
    return 0 if abs(value) < _TOLERANCE else (1 if value > 0 else -1)


def _between(a: Corner, b: Corner, point: Corner) -> bool:
    """Whether a point on the line through a and b lies in their bounding box."""
    return min(a[0], b[0]) <= point[0] <= max(a[0], b[0]) and (
        min(a[1], b[1]) <= point[1] <= max(a[1], b[1])
    )
