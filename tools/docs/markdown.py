"""What is needed of Markdown: headings and their anchors, links, and code that is left alone."""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator

FENCE = re.compile(r"^ {0,3}(```+|~~~+)(.*)$")
_HEADING = re.compile(r"^(#{1,6}) +(.*?)(?: +#+)? *$")
_GIVEN = re.compile(r" *\{ *#([^ }]+) *\}$")
_ANCHOR = re.compile(r"""<(?:a|span|tr|h[1-6])\b[^>]*?\b(?:id|name)=["']([^"']+)["']""")
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+(?:\([^()\s]*\))?)\)")
_CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)


def lines(text: str) -> Iterator[tuple[str, bool]]:
    """Every line, and whether it is code: fenced, the fence itself among it."""
    fence = ""
    for line in text.splitlines():
        match = FENCE.match(line)
        if fence:
            yield line, True
            if match and match[1].startswith(fence) and not match[2].strip():
                fence = ""
        else:
            yield line, bool(match)
            if match:
                fence = match[1]


def prose(text: str, change: Callable[[str], str]) -> str:
    """The text with `change` applied to each stretch that is no fenced code."""
    out: list[str] = []
    held: list[str] = []
    for line, code in lines(text):
        if code:
            if held:
                out.append(change("\n".join(held)))
                held.clear()
            out.append(line)
        else:
            held.append(line)
    if held:
        out.append(change("\n".join(held)))
    return "\n".join(out) + "\n"


def slug(title: str) -> str:
    """Of a heading, as forges make it: lower case, spaces as hyphens, other signs left out."""
    plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", title)
    plain = re.sub(r"[`*]|<[^>]+>", "", plain)
    kept = (
        each
        for each in html.unescape(plain).strip().lower()
        if each in " -_" or unicodedata.category(each)[0] in "LN"
    )
    return "".join(kept).replace(" ", "-")


def headings(text: str) -> Iterator[tuple[int, str, str]]:
    """Level, title and anchor of each heading; a second one of a name gets a number, as on
    forges."""
    seen: Counter[str] = Counter()
    for line, code in lines(text):
        match = None if code else _HEADING.match(line)
        if not match:
            continue
        title = match[2]
        given = _GIVEN.search(title)
        if given:
            yield len(match[1]), title[: given.start()], given[1]
            continue
        name = slug(title)
        yield len(match[1]), title, f"{name}-{seen[name]}" if seen[name] else name
        seen[name] += 1


def anchored(text: str) -> str:
    """The text with the anchor of each heading written behind it, so that no tool makes another."""
    found = headings(text)
    out = []
    for line, code in lines(text):
        if not code and _HEADING.match(line):
            level, title, name = next(found)
            line = f"{'#' * level} {title} {{#{name}}}"
        out.append(line)
    return "\n".join(out) + "\n"


def anchors(text: str) -> set[str]:
    """All that a link into this text may name."""
    plain = "\n".join(line for line, code in lines(text) if not code)
    return {name for _, _, name in headings(text)} | set(_ANCHOR.findall(plain))


def links(text: str) -> Iterator[str]:
    """The targets of all links and pictures outside of code."""
    plain = "\n".join("" if code else line for line, code in lines(text))
    for match in _LINK.finditer(_CODE.sub(lambda code: "`" * len(code[0]), plain)):
        yield match[3]


def relink(text: str, change: Callable[[str, str, str], str]) -> str:
    """Each link outside of code replaced by `change(whole, label, target)`."""

    def stretch(part: str) -> str:
        # Links whose label is code stay links: only code that holds a whole link is left alone.
        spans = [match.span() for match in _CODE.finditer(part)]

        def one(match: re.Match[str]) -> str:
            inside = any(a <= match.start() and match.end() <= b for a, b in spans)
            return match[0] if inside else change(match[0], match[2], match[3])

        return _LINK.sub(one, part)

    return prose(text, stretch)


def cell(text: str) -> str:
    """For a table's cell: on one line, its bars escaped."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """As HTML's code, which may hold bars and backticks, also in tables."""
    return f"<code>{html.escape(text, quote=False).replace('|', '&#124;')}</code>"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table of cells that are Markdown already."""
    body = [f"| {' | '.join(map(cell, row))} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *body]) + "\n"
