"""The sign for people in front of the camera: text, and an A4 page as PDF and PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.desk.notice._words import WORDS
from agent.desk.sheet import HEIGHT, MARGIN, WIDTH, Column, Draw, page
from agent.privacy.policy.profile import Language, NoticeWords
from agent.privacy.policy.rules import Policy

_DARK, _ACCENT, _PALE, _INK = "#12324a", "#c8102e", "#e9eff4", "#111111"
_PICTOGRAM = 104.0
_ICON = 40.0
_FOOT = 30.0
_SCALES = [step / 100 for step in range(112, 29, -2)]


@dataclass(frozen=True, slots=True)
class SignText:
    """All text of one sign."""

    title: str
    emotion: bool
    """Whether expressions are inferred."""
    statements: tuple[str, ...]
    act: str
    points: tuple[str, str]
    """Processing on the device; data that leaves it."""
    avoid_title: str
    avoid: str
    facts: tuple[tuple[str, str | None], ...]
    """Label and value; None: a blank line to fill in by hand."""
    foot: str

    def all(self) -> str:
        """All text that will be drawn."""
        facts = (part or "" for fact in self.facts for part in fact)
        return "".join(
            (self.title, *self.statements, self.act, *self.points, self.avoid_title, self.avoid,
             *facts, self.foot)
        )  # fmt: skip


def sign_text(
    policy: Policy,
    notice: NoticeWords,
    language: Language,
    *,
    micro: bool,
    consent: bool,
    version: str,
    traces: int | None = None,
) -> SignText:
    """Text for a policy. `micro`: micro-expressions are spotted if the policy permits; `consent`:
    people in view consented; `traces`: days for which those of sessions are kept, None: none
    are."""
    words = WORDS[language]
    emotion = policy.infers_emotion
    counted = {"attention", "dwell"}.intersection(policy.cells)
    what = words.expression if emotion else words.attention if counted else words.presence
    statements = [what, words.brief] if micro and "micro" in policy.cells else [what]
    statements += [words.voice] if policy.hears else []
    statements += [words.text] if policy.reads else []
    if policy.region == "us":
        statements.append(words.face_geometry if traces is None else words.face_geometry_kept)
    if consent:
        statements.append(words.with_consent)
    if traces is not None:
        statements.append(words.traces.format(days=traces))
    act = words.act if policy.region == "eu" else words.act_elsewhere
    window = words.windows[policy.window]
    numbers = words.numbers if policy.noised else words.numbers_exact
    if traces is not None:
        numbers = words.numbers_beside
    avoid = notice.text(notice.avoid, language) or words.avoid
    facts: list[tuple[str, str | None]] = [
        (words.operator, notice.operator),
        (words.contact, notice.contact),
        (words.purpose, notice.text(notice.purpose, language) or words.ask),
        (words.legal_basis, notice.text(notice.legal_basis, language) or words.ask),
        (words.retention, notice.text(notice.retention, language) or words.ask),
    ]
    if policy.quiet_hours:
        facts.append((words.quiet, ", ".join(policy.quiet_hours).replace("-", "–")))
    return SignText(
        title=words.title_expression if emotion else words.title_count,
        emotion=emotion,
        statements=tuple(statements),
        act=act if emotion else words.act_not,
        points=(words.device, numbers.format(k=policy.k, window=window)),
        avoid_title=words.avoid_title,
        avoid=f"{avoid} {words.zones}" if policy.zones else avoid,
        facts=tuple(facts),
        foot=f"Fleeting {version} · {policy.name} · {policy.hash}",
    )


def draw_sign(text: SignText) -> Any:
    """A Matplotlib figure of one A4 page, in the largest type that fits. Raises `ValueError` where
    none fits, which the bounds of a profile exclude."""
    for scale in _SCALES:
        upper, lower = _upper(text, scale, 0), _lower(text, scale, 0)
        room = HEIGHT - _FOOT - upper.y - lower.y
        if room >= 0:
            gap = min(room / 5, 26.0)
            upper = _upper(text, scale, gap)
            lower = _lower(text, scale, HEIGHT - _FOOT - lower.y)
            return page([*upper.draws, *lower.draws, *_foot(text)])
    raise ValueError("the sign's words do not fit on a page")


def as_pdf(figure: Any, title: str) -> bytes:
    """Reproducible PDF with embedded TrueType fonts."""
    import matplotlib
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    out = io.BytesIO()
    with matplotlib.rc_context({"pdf.fonttype": 42}):
        meta = {"Title": title, "Creator": "Fleeting", "CreationDate": None}
        dpi = figure.dpi  # changed by print_pdf
        FigureCanvasPdf(figure).print_pdf(out, metadata=meta)
        figure.dpi = dpi
    return out.getvalue()


def as_png(figure: Any) -> bytes:
    """At 200 dots per inch: 1653 x 2338 pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    out = io.BytesIO()
    FigureCanvasAgg(figure).print_png(out)
    return out.getvalue()


def _upper(text: SignText, scale: float, gap: float) -> Column:
    """Upper part: title, statements, the legal notice and three points."""
    column = Column(scale)
    side = _PICTOGRAM * min(scale, 1.0)
    left = MARGIN + side + 22
    column.skip(30)
    column.text(text.title, 33, x=left, width=WIDTH - MARGIN - left, bold=True, colour="white")
    words_end = column.y
    band = max(words_end, 26 + side) + 26
    shift = (band - words_end - 30 * scale) / 2
    title, column.draws = column.draws, []
    column.draws.append(_rectangle(0, 0, WIDTH, band, _DARK))
    column.draws += [_moved(draw, shift) for draw in title]
    column.draws.append(_pictogram(MARGIN, (band - side) / 2, side, text.emotion))
    column.y = band
    column.skip(20)
    column.y += gap
    for number, statement in enumerate(text.statements):
        column.text(statement, 19 if number == 0 else 15, bold=number == 0)
        column.skip(7)
    column.skip(5)
    column.y += gap
    top = column.y
    column.skip(9)
    column.text(text.act, 14, x=MARGIN + 18, width=WIDTH - 2 * MARGIN - 32)
    column.skip(9)
    column.draws.insert(0, _rectangle(MARGIN, top, WIDTH - 2 * MARGIN, column.y - top, _PALE))
    column.draws.append(_rectangle(MARGIN, top, 6, column.y - top, _ACCENT))
    column.skip(12)
    column.y += gap
    for icon, title_of_point, words in (
        (_processor_icon, "", text.points[0]),
        (_chart_icon, "", text.points[1]),
        (_detour_icon, text.avoid_title, text.avoid),
    ):
        icon_side = _ICON * min(scale, 1.0)
        start, x = column.y, MARGIN + icon_side + 16
        if title_of_point:
            column.text(title_of_point, 16, x=x, width=WIDTH - MARGIN - x, bold=True)
        column.text(words, 16, x=x, width=WIDTH - MARGIN - x)
        height = max(column.y - start, icon_side)
        column.draws.append(icon(MARGIN, start + (height - icon_side) / 2, icon_side))
        column.y = start + height
        column.skip(11)
        column.y += gap / 4
    return column


def _lower(text: SignText, scale: float, top: float) -> Column:
    """Lower part: the table of facts about the operator."""
    column = Column(scale, top)
    column.draws.append(_rectangle(MARGIN, column.y, WIDTH - 2 * MARGIN, 1.2, _DARK))
    column.skip(9)
    split = MARGIN + 0.31 * (WIDTH - 2 * MARGIN)
    for label, value in text.facts:
        start = column.y
        column.text(label, 12.5, width=split - MARGIN - 10, bold=True)
        label_end, column.y = column.y, start
        if value is None:
            column.y += max(18 * scale, 16)
            column.draws.append(_rectangle(split, column.y, WIDTH - MARGIN - split, 0.9, _INK))
            column.skip(4)
        else:
            column.text(value, 12.5, x=split, width=WIDTH - MARGIN - split)
        column.y = max(column.y, label_end)
        column.skip(4.5)
    column.skip(4)
    return column


def _foot(text: SignText) -> list[Draw]:
    column = Column(1.0, HEIGHT - _FOOT + 4)
    column.text(text.foot, 7.5, colour="#555555")
    return column.draws


def _moved(draw: Draw, down: float) -> Draw:
    """Draw the same text further down."""

    def moved(axes: Any) -> None:
        before = len(axes.texts)
        draw(axes)
        for each in list(axes.texts)[before:]:
            each.set_y(each.get_position()[1] + down)

    return moved


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> Draw:
    def draw(axes: Any) -> None:
        from matplotlib.patches import Rectangle

        axes.add_patch(Rectangle((x, y), width, height, facecolor=colour, edgecolor="none"))

    return draw


def _strokes(
    x: float, y: float, side: float, colour: str, lines: Sequence[Sequence[tuple[float, float]]],
    rings: Sequence[tuple[float, float, float, bool]] = (), weight: float = 0.06,
) -> Draw:  # fmt: skip
    """Draw lines and rings (x, y, radius, filled) given in a unit square."""

    def draw(axes: Any) -> None:
        from matplotlib.patches import Circle

        for line in lines:
            axes.plot(
                [x + side * px for px, _ in line], [y + side * py for _, py in line],
                color=colour, linewidth=weight * side, solid_capstyle="round",
                solid_joinstyle="round",
            )  # fmt: skip
        for cx, cy, radius, filled in rings:
            axes.add_patch(
                Circle(
                    (x + side * cx, y + side * cy),
                    side * radius,
                    edgecolor=colour,
                    facecolor=colour if filled else "none",
                    linewidth=weight * side,
                )
            )

    return draw


def _pictogram(x: float, y: float, side: float, emotion: bool) -> Draw:
    """A face within a viewfinder and a camera above; it smiles where expressions are inferred."""
    corner = 0.16
    frame = [
        [(0.04, 0.30 + corner), (0.04, 0.30), (0.04 + corner, 0.30)],
        [(0.96 - corner, 0.30), (0.96, 0.30), (0.96, 0.30 + corner)],
        [(0.04, 0.98 - corner), (0.04, 0.98), (0.04 + corner, 0.98)],
        [(0.96 - corner, 0.98), (0.96, 0.98), (0.96, 0.98 - corner)],
    ]
    mouth = [(0.41, 0.74), (0.59, 0.74)]
    if emotion:
        mouth = [(0.39, 0.72), (0.44, 0.765), (0.5, 0.78), (0.56, 0.765), (0.61, 0.72)]
    face = [(0.5, 0.64, 0.25, False), (0.41, 0.58, 0.022, True), (0.59, 0.58, 0.022, True)]
    body = [(0.30, 0.03), (0.70, 0.03), (0.70, 0.22), (0.30, 0.22), (0.30, 0.03)]
    lens = [(0.5, 0.125, 0.058, False), (0.635, 0.075, 0.012, True)]
    return _strokes(x, y, side, "white", [*frame, mouth, body], [*face, *lens], weight=0.038)


def _processor_icon(x: float, y: float, side: float) -> Draw:
    """Icon of a processor: local processing."""
    body = [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8), (0.2, 0.2)]
    core = [(0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6), (0.4, 0.4)]
    pins = [
        line
        for at in (0.35, 0.5, 0.65)
        for line in (
            [(at, 0.03), (at, 0.2)], [(at, 0.8), (at, 0.97)],
            [(0.03, at), (0.2, at)], [(0.8, at), (0.97, at)],
        )
    ]  # fmt: skip
    return _strokes(x, y, side, _DARK, [body, core, *pins])


def _chart_icon(x: float, y: float, side: float) -> Draw:
    """Icon of a bar chart: counts."""
    axes = [(0.06, 0.06), (0.06, 0.94), (0.94, 0.94)]
    bars = [[(at, 0.80), (at, top)] for at, top in ((0.28, 0.55), (0.5, 0.25), (0.72, 0.42))]
    thin, thick = _strokes(x, y, side, _DARK, [axes]), _strokes(x, y, side, _DARK, bars, (), 0.13)

    def draw(on: Any) -> None:
        thin(on)
        thick(on)

    return draw


def _detour_icon(x: float, y: float, side: float) -> Draw:
    """Icon of an arrow around a point: avoidance."""
    way = [(0.10, 0.92), (0.10, 0.35), (0.16, 0.20), (0.32, 0.14), (0.90, 0.14)]
    head = [(0.70, -0.02), (0.92, 0.14), (0.70, 0.30)]
    return _strokes(x, y, side, _DARK, [way, head], [(0.62, 0.68, 0.17, False)])
