"""The index over all films: a row each, which a small script of the page sorts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import agent
from agent.desk.films.caveats import HIGHLIGHTS, REFUSED, short
from agent.desk.films.course import LABELS
from agent.desk.films.drawing import Area, Drawing, Line, Rect, clock
from agent.desk.films.html import frame
from agent.desk.films.keep import FILMS
from agent.desk.films.style import allowed
from agent.desk.films.svg import as_svg, quoted
from agent.desk.films.write import HTML, PDF

SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach(each => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = row => row.cells.length <= 2 && column ? "" :
        row.cells[column].dataset.v ?? row.cells[column].textContent;
      const number = head.dataset.kind === "number";
      [...body.rows].sort((a, b) => {
        const x = key(a), y = key(b);
        if (x === "" || y === "") return x === y ? 0 : x === "" ? 1 : -1;
        const order = number ? x - y : x.localeCompare(y, undefined, {numeric: true});
        return up ? order : -order;
      }).forEach(row => body.append(row));
    });
  });
}
"""
_HEADS = (
    ("film", "text"), ("length", "number"), ("visits", "number"), ("passed by", "number"),
    ("at once", "number"),
    ("expressions", ""), ("valence", "number"), ("valence over time", ""),
    ("facing the camera", "number"), ("micro, by chance", "number"), ("voice", ""),
    ("usable", "number"), ("flags", "number"), ("state", "text"),
)  # fmt: skip


class Entry(NamedTuple):
    """One row of the index."""

    label: str
    page: str
    entry: dict[str, Any] | None
    """Of `findings.entry`; None where the film could not be looked at."""
    error: str = ""
    unchanged: bool = False


def as_html(rows: Sequence[Entry], files: Sequence[str], others: int, *, pdf: bool) -> str:
    """`files`: names of the tables beside the index; `others`: files that are no films."""
    good = [row.entry for row in rows if row.entry is not None]
    failed = [row for row in rows if row.entry is None]
    seconds = sum(each["seconds"] for each in good)
    title = f"{len(rows)} films" if len(rows) != 1 else "1 film"
    summary = f"{clock(seconds)} of film, {sum(each['visits'] for each in good)} visits" + (
        f", {len(failed)} could not be looked at" if failed else ""
    )
    heads = "".join(
        f'<th scope="col" role="columnheader" data-kind="{kind}">'
        + (f'<button type="button">{quoted(name)}</button>' if kind else quoted(name))
        + "</th>"
        for name, kind in _HEADS
    )
    body = "".join(_row(row, pdf) for row in rows)
    links = " · ".join(f'<a href="{quote(name)}">{quoted(name)}</a>' for name in files)
    left = f" {others} files in the folders are no films by their ending." if others else ""
    refused = "; ".join(what.lower() for what, _ in REFUSED)
    return frame(
        title,
        allowed(SCRIPT),
        f'<header><h1>{quoted(title)}</h1><p class="sub">{quoted(summary)}</p></header>\n<main>\n'
        '<p class="note">Pages about recorded people: personal data, for whoever holds the films '
        "and their consent. Expression is not inner feeling.</p>"
        '<div class="scroll" tabindex="0" role="region" aria-label="Films">'
        '<table class="sortable" role="table">'
        f"<caption>A row a film; the heads sort.{quoted(left)}</caption>"
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead>'
        f'<tbody role="rowgroup">{body}</tbody></table></div>'
        f'<div class="legend">{_legend()}</div>'
        f'<p class="caveat"><b>Read with care.</b> Films differ in light, distance, language and '
        "who is in them: a difference between two rows is a question. Beside the micro-expressions "
        "stands how many chance alone would give. Not said at all: "
        f"{quoted(refused)}. ({quoted(short(HIGHLIGHTS))})</p>"
        f"<p>Tables over all films: {links}</p>\n</main>\n"
        f"<footer>Fleeting {quoted(agent.__version__)}</footer>\n<script>{SCRIPT}</script>",
        "wide",
    )


def _row(row: Entry, pdf: bool) -> str:
    entry = row.entry
    if entry is None:
        name = quoted(row.label)
        return (
            f'<tr role="row"><th scope="row" role="rowheader" class="name" data-v="{name}">{name}'
            f'</th><td role="cell" class="failed" colspan="{len(_HEADS) - 1}">'
            f"{quoted(row.error)}</td></tr>"
        )
    folder = f"{FILMS}/{quote(row.page)}"
    paper = f' <a class="small" href="{folder}/{PDF}">PDF</a>' if pdf else ""
    chance = entry["micro_expected"]
    micro = (
        "–"
        if entry["micro"] is None
        else f"{entry['micro']} ({'?' if chance is None else f'{chance:.1f}'})"
    )
    more = None if entry["micro"] is None else entry["micro"] - (chance or 0.0)
    flags = ", ".join(name.replace("_", " ") for name in entry["flags"])
    tones = [name for name, share in entry["tones"].items() if share and name != "unsure"]
    voice = max(tones, key=lambda name: entry["tones"][name]) if tones else ""
    cells = (
        _cell(clock(entry["seconds"]), entry["seconds"]),
        _cell(str(entry["visits"]), entry["visits"]),
        _cell("–" if entry["passed"] is None else str(entry["passed"]), entry["passed"]),
        _cell(str(entry["faces_at_once"]), entry["faces_at_once"]),
        f"<td>{_shares(entry['shares'])}</td>",
        _cell(_signed(entry["valence"]), entry["valence"]),
        f"<td>{_spark(entry['valence_course'])}</td>",
        _cell(_percent(entry["attention"]), entry["attention"]),
        _cell(micro, more),
        f"<td>{quoted(f'mostly {voice}' if voice else '–')}</td>",
        _cell(_percent(entry["usable"]), entry["usable"]),
        f'<td data-v="{len(entry["flags"])}">{quoted(flags or "–")}</td>',
        f"<td>{'as before' if row.unchanged else 'done'}</td>",
    )
    return (
        f'<tr role="row"><th scope="row" role="rowheader" class="name" '
        f'data-v="{quoted(row.label)}"><a href="{folder}/{HTML}">{quoted(row.label)}</a>{paper}'
        f"</th>{''.join(_named(cells))}</tr>"
    )


def _named(cells: Iterable[str]) -> Iterator[str]:
    """Cells that say what they are where a narrow screen has no heads above them."""
    for cell, (name, _) in zip(cells, _HEADS[1:], strict=True):
        yield cell.replace("<td", f'<td role="cell" data-h="{quoted(name)}"', 1)


def _cell(text: str, value: float | None) -> str:
    return f'<td class="n" data-v="{"" if value is None else value}">{quoted(text)}</td>'


def _shares(shares: dict[str, float]) -> str:
    """A bar of all classes."""
    if not shares:
        return "–"
    on, x = Drawing(20.0, 120.0), 0.0
    for name in LABELS:
        wide = 120 * shares.get(name, 0.0)
        if wide:
            on.add(Rect(x, 3, wide, 14, f"expression-{name}", f"{name} {shares[name]:.0%}"))
        x += wide
    top = sorted(shares.items(), key=lambda item: -item[1])[:3]
    return as_svg(on, ", ".join(f"{name} {share:.0%}" for name, share in top))


def _spark(values: Sequence[float | None]) -> str:
    """Valence over time, between -1 and 1."""
    known = [(at, v) for at, v in enumerate(values) if v is not None and math.isfinite(v)]
    if not known:
        return "–"
    on, last = Drawing(27.0, 120.0), max(len(values) - 1, 1)
    on.add(Line(((0, 13.5), (120, 13.5)), "grid"))
    pieces: list[list[tuple[float, float]]] = [[]]
    for (at, value), before in zip(known, [None, *known], strict=False):
        if before is not None and at - before[0] > 1:
            pieces.append([])
        pieces[-1].append((120 * at / last, 13.5 - 12.5 * value))
    for piece in pieces:
        if len(piece) == 1:
            x, y = piece[0]
            on.add(Area(((x - 1, y - 1), (x + 1, y - 1), (x + 1, y + 1), (x - 1, y + 1)), "accent"))
        else:
            on.add(Line(tuple(piece), "accent", 1.5))
    low, high = min(v for _, v in known), max(v for _, v in known)
    return as_svg(on, f"valence from {low:+.2f} to {high:+.2f}")


def _legend() -> str:
    """What the colours of the bars are."""
    on = Drawing(10.0, 760.0)
    on.legend(11, [(f"expression-{name}", name) for name in LABELS], 2.0)
    return as_svg(on, "Colours of the bars: " + ", ".join(LABELS))


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.2f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"
