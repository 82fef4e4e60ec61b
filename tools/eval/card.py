"""The generated parts of a model card, each between its markers; nothing else is touched."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tools.common.errors import ToolError
from tools.common.files import save_atomically
from tools.common.tables import markdown

PUBLISHED = "<!-- figures: written by tools/train -->", "<!-- end of figures -->"
"""Around the figures that come with the model: the training command ends with writing them."""
CHAIN = "<!-- terms: written by tools/train -->", "<!-- end of terms -->"
"""Around the clean set's table of origins, which comes with the model as well."""


class Part(NamedTuple):
    """A section of `tools.eval`: the lines around it, and its heading."""

    begin: str
    end: str
    heading: str


FIGURES = Part(
    "<!-- figures: written by tools/eval -->",
    "<!-- end of eval figures -->",
    "## Figures by group, size and peer",
)
TILT = Part("<!-- tilt: written by tools/eval -->", "<!-- end of tilt -->", "## Tilted heads")
SURE = Part("<!-- sure: written by tools/eval -->", "<!-- end of sure -->", "## Sure or not")
BEFORE = "## Limits"
"""Where a card without the section gets it: before this heading, or at the end."""
OURS = "ours, int8"
Figure = dict[str, Any]


def update(card: Path, section: str, part: Part = FIGURES) -> None:
    """Put `section` between the lines of `part`, adding heading and lines to a card without.

    Raises `ToolError` where there is no card, or only one of the lines.
    """
    begin, end, heading = part
    if not card.is_file():
        raise ToolError(f"There is no {card}: train the model first, or give --no-card.")
    text = card.read_text(encoding="utf-8")
    if (begin in text) != (end in text) or text.count(begin) > 1:
        raise ToolError(f"{card} must hold the lines {begin!r} and {end!r} once each, or neither.")
    if begin not in text:
        place = text.find(f"\n{BEFORE}")
        place = len(text.rstrip("\n")) + 1 if place < 0 else place + 1
        text = f"{text[:place]}{heading}\n\n{begin}\n{end}\n\n{text[place:]}".rstrip("\n") + "\n"
    _replace(card, text, (begin, end), section)


def update_published(card: Path, section: str, markers: tuple[str, str] = PUBLISHED) -> None:
    """Put `section` between the markers, `PUBLISHED` or `CHAIN`. Raises `ToolError` without."""
    begin, end = markers
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    if end not in text.partition(begin)[2]:
        raise ToolError(f"{card} must exist and hold the lines {begin!r} and {end!r}.")
    _replace(card, text, markers, section)


def _replace(card: Path, text: str, markers: tuple[str, str], section: str) -> None:
    """Write `text` with what stands between the markers replaced."""
    begin, end = markers
    before, _, rest = text.partition(begin)
    after = rest.partition(end)[2]
    save_atomically(card, f"{before}{begin}\n{section}\n{end}{after}".encode())


def number(figure: Figure | None, digits: int = 2, percent: bool = False) -> str:
    """`0.79 (0.74 to 0.84)`; a dash where there is nothing."""
    if not figure or figure["value"] is None:
        return "-"
    scale, sign = (100.0, " %") if percent else (1.0, "")
    value, low, high = (
        "?" if figure[key] is None else f"{scale * figure[key]:.{digits}f}"
        for key in ("value", "low", "high")
    )
    return f"{value}{sign} ({low} to {high})"


def beside(figure: Figure, digits: int = 2, percent: bool = False) -> str:
    """A peer's figure, bold where the paired difference to ours is not 0 at the 95 % level."""
    text = number(figure, digits, percent)
    gap = figure.get("ours_minus")
    if not gap or gap["low"] is None or gap["low"] <= 0 <= gap["high"]:
        return text
    value, space, interval = text.partition(" (")
    return f"**{value}**{space}{interval}"


def file_lines(file: Figure, peers: dict[str, dict[str, float]]) -> str:
    """Size, work and processor time, by board where figures of these very models are stored."""
    machine = file["machine"]
    found = [(f"{board['board']} (tools.bench)", OURS, board) for board in file["boards"]]
    here = f"{machine['name']}, load {machine['load']:.1f}"
    found.append((here, OURS, file["one_thread"]))
    found += [(here, name, ms) for name, ms in peers.items() if ms]
    rows = [(at, who, f"{ms['min_ms']:.2f}", f"{ms['median_ms']:.2f}") for at, who, ms in found]
    head = ("machine", "network", "least ms", "median ms")
    text = (
        f"{file['bytes']:,} bytes, {file['million_macs']} million multiply-accumulates, "
        f"{file['delegated']:.0%} of the nodes in XNNPACK. Processor time of one call of the "
        "network alone, on one thread; on a busy machine (load above its cores) large networks "
        "lose most."
    )
    if not file["boards"]:
        text += " No board's figures for these very models are stored with tools.bench."
    return join([prose(text), markdown(head, rows)])


def missing(notes: dict[str, str]) -> str:
    """List of what was not measured, with reasons; empty where all was."""
    lines = [f"- {name}: not measured, {reason.rstrip('.')}." for name, reason in notes.items()]
    return "\n".join(textwrap.fill(line, 100, subsequent_indent="  ") for line in lines)


def prose(text: str) -> str:
    """One paragraph, filled to 100 columns."""
    return textwrap.fill(" ".join(text.split()), 100, break_on_hyphens=False)


def join(parts: Sequence[str]) -> str:
    """Blank lines between, empty parts left out."""
    return "\n\n".join(part for part in parts if part)
