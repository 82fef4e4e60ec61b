"""A document as PDF of A4 pages, by Matplotlib's PDF backend: text is text, drawings are vectors.

Given up: tags for screen readers; the HTML beside it has them.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from agent.desk.films.caveats import short
from agent.desk.films.document import (
    Block,
    Caveat,
    Document,
    Facts,
    Figure,
    Heading,
    Paragraph,
    Stills,
    Table,
)
from agent.desk.films.palette import light
from agent.desk.films.pdf_shapes import draw_shapes
from agent.desk.sheet import (
    HEIGHT,
    LINE,
    MARGIN,
    WIDTH,
    Draw,
    font,
    missing_glyphs,
    page,
    substitute,
    width_of,
    wrap,
    writable,
)

_ROOM = WIDTH - 2 * MARGIN
_BOTTOM = HEIGHT - MARGIN - 14
_PAD = 8.0
_CELL = 7.6
"""Points: type of tables."""


def as_pdf(document: Document) -> bytes:
    """The pages; reproducible, with embedded fonts."""
    import matplotlib
    from matplotlib.backends.backend_pdf import FigureCanvasPdf, PdfPages

    out = io.BytesIO()
    meta = {"Title": document.title, "Creator": "Fleeting", "CreationDate": None}
    with warnings.catch_warnings(), matplotlib.rc_context({"pdf.fonttype": 42}):
        # a letter of a line that no single font has whole: a box is drawn
        warnings.filterwarnings("ignore", message=r"Glyph .* missing", category=UserWarning)
        flow = _laid_out(document)
        with PdfPages(out, metadata=meta) as pages:
            for number, draws in enumerate(flow.pages, 1):
                foot = _line(f"{document.foot} · {number} of {len(flow.pages)}", MARGIN,
                             HEIGHT - MARGIN + 6, 6.5, "soft")  # fmt: skip
                figure = page([*draws, foot])
                FigureCanvasPdf(figure)
                pages.savefig(figure)
    return out.getvalue()


def _laid_out(document: Document) -> _Flow:
    """All blocks; a heading stays with what follows it, up to the first picture or table."""
    flow = _Flow()
    flow.text(document.title, 17, bold=True)
    if writable(document.title) != document.title:
        flow.text("As \\u…: characters that no font of this machine has.", 7.5, colour="soft")
    flow.text(document.subtitle, 9, colour="soft")
    flow.skip(6)
    for place, block in enumerate(document.blocks):
        if isinstance(block, Heading):
            flow.room(30 + _together(document.blocks[place + 1 :]))
        flow.block(block)
    return flow


def _together(blocks: Sequence[Block]) -> float:
    """Points, about, of the blocks that a heading must not be parted from."""
    high = 0.0
    for block in blocks:
        if isinstance(block, Figure):
            return high + block.drawing.height * _ROOM / block.drawing.width + 80
        if not isinstance(block, Facts | Paragraph):
            return high + 60
        high += 12.0 * len(block.items) + 5 if isinstance(block, Facts) else 30.0
    return high


class _Flow:
    """Blocks one below the other, on as many pages as they need; `y` in points from the top."""

    def __init__(self) -> None:
        self.pages: list[list[Draw]] = [[]]
        self.y = MARGIN

    def room(self, height: float) -> None:
        """Go on with the next page where less than `height` is left."""
        if self.y + height > _BOTTOM and self.y > MARGIN:
            self.pages.append([])
            self.y = MARGIN

    def skip(self, points: float) -> None:
        self.y += points

    def put(self, draw: Draw) -> None:
        self.pages[-1].append(draw)

    def text(
        self, text: str, size: float, *, x: float = MARGIN, width: float = _ROOM,
        bold: bool = False, colour: str = "ink",
    ) -> None:  # fmt: skip
        for line in wrap(writable(text), size, width, bold):
            self.room(size * LINE)
            self.put(_line(line, x, self.y + size, size, colour, bold))
            self.y += size * LINE

    def block(self, block: Block) -> None:
        if isinstance(block, Heading):
            self.skip(12)
            self.text(block.text, 13, bold=True)
            self.skip(3)
        elif isinstance(block, Paragraph):
            colour = {"small": "soft", "bad": "bad"}.get(block.kind, "ink")
            self.text(block.text, 7.5 if block.kind == "small" else 9, colour=colour)
            self.skip(4)
        elif isinstance(block, Facts):
            (self._big if block.big else self._facts)(block)
        elif isinstance(block, Table):
            if block.paper:
                self._table(block)
        elif isinstance(block, Caveat):
            self._caveat(block)
        elif isinstance(block, Figure):
            self._figure(block)
        else:
            self._stills(block)

    def _boxed(self, text: str, size: float, colour: str, edge: str) -> None:
        lines = wrap(text, size, _ROOM - 16)
        high = len(lines) * size * LINE + 8
        self.room(high)
        self.put(_box(MARGIN, self.y, _ROOM, high, colour))
        self.put(_box(MARGIN, self.y, 2, high, edge))
        self.y += 4
        for line in lines:
            self.put(_line(line, MARGIN + 10, self.y + size, size, "ink"))
            self.y += size * LINE
        self.y += 4

    def _caveat(self, caveat: Caveat) -> None:
        named = f" ({short(caveat)})" if caveat.sources else ""
        text = f"Read with care. {caveat.text}{named}"
        self._boxed(text, 7.5, "caution-paper", "caution")
        self.skip(6)

    def _figure(self, figure: Figure) -> None:
        scale = _ROOM / figure.drawing.width
        high = figure.drawing.height * scale
        lines = wrap(figure.caption, 7.5, _ROOM)
        self.room(high + len(lines) * 7.5 * LINE + 44)  # its caveat stays with it
        top = self.y
        self.put(lambda axes: draw_shapes(axes, figure.drawing, MARGIN, top, scale))
        self.y += high + 2
        self.text(f"{figure.caption}.", 7.5, colour="soft")
        self.skip(3)
        self._caveat(figure.caveat)

    def _big(self, facts: Facts) -> None:
        wide, high = _ROOM / len(facts.items), 40.0
        self.room(high)
        rest = self.y
        for place, (label, value) in enumerate(facts.items):
            x = MARGIN + place * wide
            self.put(_box(x, rest, wide - 6, high, "panel"))
            self.put(_line(value, x + 7, rest + 17, 13, "ink", bold=True))
            for row, line in enumerate(wrap(label, 6.5, wide - 16)[:2]):
                self.put(_line(line, x + 7, rest + 26 + 8 * row, 6.5, "soft"))
        self.y = rest + high + 8

    def _facts(self, facts: Facts) -> None:
        for label, value in facts.items:
            lines = wrap(writable(value), 8, _ROOM - 84)
            self.room(len(lines) * 8 * LINE)
            self.put(_line(label, MARGIN, self.y + 8, 8, "soft"))
            self.text(value, 8, x=MARGIN + 84, width=_ROOM - 84)
        self.skip(5)

    def _table(self, table: Table) -> None:
        widths = _widths(table)
        self.room(48)
        self.text(table.caption, 7.5, colour="soft")
        self._row(table.head, widths, table, head=True)
        for row in table.rows:
            if self._row(row, widths, table, probe=True):
                self._row(table.head, widths, table, head=True)
            self._row(row, widths, table)
        self.skip(6)

    def _row(
        self, cells: Sequence[str], widths: Sequence[float], table: Table, *,
        head: bool = False, probe: bool = False,
    ) -> bool:  # fmt: skip
        """Draw a row; with `probe` only begin a new page where it needs one, and say so."""
        broken = [wrap(c, _CELL, w - _PAD, head) for c, w in zip(cells, widths, strict=True)]
        high = max(map(len, broken)) * _CELL * LINE + 3
        before = len(self.pages)
        self.room(high)
        if probe:
            return len(self.pages) > before
        x = MARGIN
        for column, (lines, wide) in enumerate(zip(broken, widths, strict=True)):
            for number, line in enumerate(lines):
                y = self.y + _CELL + number * _CELL * LINE
                at = x
                if column in table.numbers:
                    at += wide - _PAD - width_of(line, _CELL, head)
                self.put(_line(line, at, y, _CELL, "soft" if head else "ink", head))
            x += wide
        self.y += high
        self.put(_box(MARGIN, self.y - 1, sum(widths) - _PAD, 0.4, "away"))
        return False

    def _stills(self, stills: Stills) -> None:
        columns, gap = 3, 8.0
        wide = (_ROOM - gap * (columns - 1)) / columns
        for start in range(0, len(stills.stills), columns):
            row = stills.stills[start : start + columns]
            high = max(wide * still.height / still.width for still in row)
            self.room(high + 24)
            for place, still in enumerate(row):
                x = MARGIN + place * (wide + gap)
                self.put(_picture(still.jpeg, x, self.y, wide, wide * still.height / still.width))
                for number, line in enumerate(wrap(still.caption, 6.5, wide)[:2]):
                    self.put(_line(line, x, self.y + high + 9 + 8 * number, 6.5, "soft"))
            self.y += high + 28


def _widths(table: Table) -> list[float]:
    """Each column as wide as its longest cell; where that is too much, the widest give way."""
    natural = [
        max(width_of(cell, _CELL, row is table.head) for cell, row in cells) / 0.97 + _PAD + 1
        for cells in zip(*([(cell, row) for cell in row] for row in (table.head, *table.rows)),
                         strict=True)
    ]  # fmt: skip
    over = sum(natural) - _ROOM
    while over > 0.01:
        widest = max(natural)
        wide = [at for at, each in enumerate(natural) if each > widest - 0.01]
        second = max((each for each in natural if each <= widest - 0.01), default=0.0)
        less = min(widest - second, over / len(wide))
        for at in wide:
            natural[at] -= less
        over -= less * len(wide)
    return natural


def _line(
    text: str, x: float, y: float, size: float, colour: str, bold: bool = False
) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        lacking = missing_glyphs(text)
        if lacking and (file := substitute(text)):
            _outlined(axes, text, file, x, y, size, colour)
            return
        axes.text(x, y, text, fontproperties=font(bold, size), color=light(colour), va="baseline",
                  parse_math=False)  # fmt: skip

    return draw


def _outlined(
    axes: Any, text: str, file: str, x: float, y: float, size: float, colour: str
) -> None:
    """Text of another font as outlines: collections and CFF, as most large fonts are, cannot be
    embedded."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import PathPatch
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    path = TextPath((0, 0), text, size=size, prop=FontProperties(fname=file))
    moved = Affine2D().scale(1, -1).translate(x, y).transform_path(path)
    axes.add_patch(PathPatch(moved, fc=light(colour), lw=0))


def _box(x: float, y: float, width: float, height: float, colour: str) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        from matplotlib.patches import Rectangle

        axes.add_patch(Rectangle((x, y), width, height, fc=light(colour), lw=0))

    return draw


def _picture(jpeg: bytes, x: float, y: float, width: float, height: float) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        import numpy as np
        from PIL import Image

        grey = np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"))
        axes.imshow(grey, cmap="gray", vmin=0, vmax=255, extent=(x, x + width, y + height, y),
                    aspect="auto")  # fmt: skip
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(HEIGHT, 0)

    return draw
