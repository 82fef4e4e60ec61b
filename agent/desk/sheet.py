"""Text layout on an A4 page in points (1/72 inch): measured and wrapped first, then drawn."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 595.28, 841.89
MARGIN = 42.0
_SAFE = 0.97
"""Share of the line width that is used, since glyphs are placed on whole pixels."""
LINE = 1.28
"""Line height, share of the font's size."""

DPI = 200

Draw = Callable[[Any], None]
"""Draws on axes whose units are points, y growing downwards."""


def font(bold: bool, size: float) -> Any:
    """DejaVu Sans as shipped with Matplotlib, for equal results on every machine."""
    from matplotlib.font_manager import FontProperties

    return FontProperties(fname=_font_file(bold), size=size)


@functools.cache
def _font_file(bold: bool) -> str:
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name)


FONTS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
"""Where other fonts are looked for."""
_MOST_FONTS = 400
"""Fonts that are opened in search of a character."""


def writable(text: str) -> str:
    """Text with the characters that no font here has as `\\u7a7a`."""
    lacking = missing_glyphs(text)
    if not lacking or substitute(text):
        return text
    return text.translate({ord(c): c.encode("unicode_escape").decode("ascii") for c in lacking})


@functools.cache
def substitute(text: str) -> str | None:
    """A file of an installed font that has all characters of a text, the largest files first, since
    those have most; None without one."""
    from matplotlib.font_manager import get_font

    wanted = set(map(ord, text))
    for file in _installed(FONTS):
        try:
            if wanted <= get_font(file).get_charmap().keys():
                return file
        except (OSError, RuntimeError):  # not readable, or of a kind that FreeType does not know
            continue
    return None


@functools.cache
def _installed(folders: tuple[Path, ...]) -> tuple[str, ...]:
    found: list[tuple[int, str]] = []
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in names:
                if name.lower().endswith((".ttf", ".otf", ".ttc")):
                    path = os.path.join(place, name)
                    with contextlib.suppress(OSError):
                        found.append((-os.path.getsize(path), path))
    return tuple(path for _, path in sorted(found)[:_MOST_FONTS])


@functools.cache
def _advance(character: str, bold: bool) -> float:
    """Advance width of a character, per point of font size."""
    if missing_glyphs(character):
        return 1.0  # of another font: a full square, as most of these are
    # measured between letters, since a space has no ink; doubled, to cancel kerning
    return (_ink(f"x{character * 4}x", bold) - _ink(f"x{character * 2}x", bold)) / 2


@functools.cache
def _ink(text: str, bold: bool) -> float:
    from matplotlib.textpath import TextToPath

    width, _, _ = TextToPath().get_text_width_height_descent(text, font(bold, 100), ismath=False)
    return float(width) / 100


def width_of(text: str, size: float, bold: bool = False) -> float:
    """Width in points, without kerning, which is an upper bound."""
    return size * sum(_advance(character, bold) for character in text)


def missing_glyphs(text: str) -> str:
    """Characters without a glyph in the font."""
    from matplotlib.font_manager import get_font

    known = get_font(_font_file(False)).get_charmap()
    return "".join(dict.fromkeys(each for each in text if ord(each) not in known))


def wrap(text: str, size: float, width: float, bold: bool = False) -> list[str]:
    """Wrap text to lines of at most `width` points; longer words are broken."""
    width *= _SAFE
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if width_of(joined, size, bold) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        pieces = _broken(word, size, width, bold)
        lines += pieces[:-1]
        line = pieces[-1]
    return [*lines, line]


def _broken(word: str, size: float, width: float, bold: bool) -> list[str]:
    """Break a word into pieces that fit, preferably after a separator of addresses."""
    pieces = []
    start, used = 0, 0.0
    for place, character in enumerate(word):
        wide = width_of(character, size, bold)
        if used + wide > width and place > start:
            at = max(word.rfind(sign, start, place) for sign in "@./-_&?=") + 1
            end = at if at > start + (place - start) // 3 else place
            pieces.append(word[start:end])
            start, used = end, width_of(word[end:place], size, bold)
        used += wide
    return [*pieces, word[start:]]


class Column:
    """A column of drawing operations; `y` is its lower end, points."""

    def __init__(self, scale: float, top: float = 0.0) -> None:
        self.scale = scale
        self.y = top
        self.draws: list[Draw] = []

    def skip(self, points: float) -> None:
        """Add vertical space; points before scaling."""
        self.y += points * self.scale

    def text(
        self,
        text: str,
        size: float,
        *,
        x: float = MARGIN,
        width: float = WIDTH - 2 * MARGIN,
        bold: bool = False,
        colour: str = "#111111",
    ) -> None:
        """Add a paragraph; `size`: points before scaling."""
        size *= self.scale
        for line in wrap(text, size, width, bold):
            self.draws.append(_line(line, x, self.y + size, size, bold, colour))
            self.y += LINE * size


def _line(text: str, x: float, y: float, size: float, bold: bool, colour: str) -> Draw:
    def draw(axes: Any) -> None:
        axes.text(
            x, y, text, fontproperties=font(bold, size), color=colour, va="baseline",
            parse_math=False,  # names may contain dollar signs
        )  # fmt: skip

    return draw


def page(draws: list[Draw]) -> Any:
    """A Matplotlib figure of A4 with everything drawn on it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(HEIGHT, 0)
    axes.axis("off")
    for draw in draws:
        draw(axes)
    return figure
