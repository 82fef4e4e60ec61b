"""A document as one HTML file that needs nothing else: no script, no font, no address."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable

from agent.desk.films.caveats import short
from agent.desk.films.document import (
    Block,
    Caveat,
    Document,
    Facts,
    Figure,
    Heading,
    Paragraph,
    Still,
    Stills,
    Table,
)
from agent.desk.films.style import STYLE, allowed
from agent.desk.films.svg import as_svg, quoted

_TIMES = re.compile(r"\d[\d:.–]*")


def as_html(document: Document) -> str:
    """The page; what does not print in names and messages is escaped visibly."""
    chapters = "".join(
        f'<a href="#{each.id}">{quoted(each.text)}</a>' for each in document.chapters
    )
    body = "\n".join(map(_block, document.blocks))
    head = (
        f'<header><p class="small"><a href="../../index.html">All films</a></p>'
        f"<h1>{quoted(document.title)}</h1>"
        f'<p class="sub">{quoted(document.subtitle)}</p>'
        f'<nav aria-label="Chapters">{chapters}</nav></header>'
    )
    policy = allowed(pictures=document.holds_pictures)
    foot = f"<footer>{quoted(document.foot)}</footer>"
    return frame(document.title, policy, f"{head}\n<main>\n{body}\n</main>\n{foot}")


def frame(title: str, policy: str, body: str, kind: str = "") -> str:
    """The file around a body that is HTML; `kind`: class of the body."""
    named = f' class="{kind}"' if kind else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{quoted(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body{named}>\n{body}\n</body>\n</html>\n"
    )


def table(each: Table) -> str:
    """A table in a box that scrolls sideways where it is too wide."""
    head = "".join(
        f'<th scope="col"{_right(column, each)}>{quoted(name)}</th>'
        for column, name in enumerate(each.head)
    )
    rows = "".join(
        "<tr>"
        + "".join(f"<td{_kind(column, each, c)}>{quoted(c)}</td>" for column, c in enumerate(r))
        + "</tr>"
        for r in each.rows
    )
    label = quoted(each.caption)
    inner = (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
        f"<caption>{quoted(each.caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
    if not each.folded:
        return inner
    return f"<details><summary>The figures as a table</summary>{inner}</details>"


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f'<h{block.level} id="{block.id}">{quoted(block.text)}</h{block.level}>'
    if isinstance(block, Paragraph):
        kind = "" if block.kind == "plain" else f' class="{block.kind}"'
        return f"<p{kind}>{quoted(block.text)}</p>"
    if isinstance(block, Facts):
        return _facts(block.items, "big" if block.big else "facts")
    if isinstance(block, Table):
        return table(block)
    if isinstance(block, Caveat):
        return _caveat(block)
    if isinstance(block, Figure):
        return (
            f'<figure tabindex="0">{as_svg(block.drawing, block.alt)}'
            f"<figcaption>{quoted(block.caption)}.</figcaption></figure>{_caveat(block.caveat)}"
        )
    assert isinstance(block, Stills)
    return f'<div class="stills">{"".join(map(_still, block.stills))}</div>'


def _facts(items: Iterable[tuple[str, str]], kind: str) -> str:
    rows = "".join(
        f"<div><dt>{quoted(name)}</dt><dd>{quoted(value)}</dd></div>" for name, value in items
    )
    return f'<dl class="{kind}">{rows}</dl>'


def _caveat(caveat: Caveat) -> str:
    named = short(caveat)
    source = f' <a href="#sources">({quoted(named)})</a>' if named else ""
    return f'<p class="caveat"><b>Read with care.</b> {quoted(caveat.text)}{source}</p>'


def _still(still: Still) -> str:
    data = base64.b64encode(still.jpeg).decode()
    return (
        f'<figure><img src="data:image/jpeg;base64,{data}" width="{still.width}" '
        f'height="{still.height}" alt="{quoted(still.alt)}">'
        f"<figcaption>{quoted(still.caption)}</figcaption></figure>"
    )


def _right(column: int, of: Table) -> str:
    return ' class="n"' if column in of.numbers else ""


def _kind(column: int, of: Table, cell: str) -> str:
    """Times are not broken."""
    return _right(column, of) or (' class="t"' if _TIMES.fullmatch(cell) else "")
