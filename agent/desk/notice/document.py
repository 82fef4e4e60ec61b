"""A plain document of headings, paragraphs, lists, tables and code, as HTML or as Markdown."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; overflow-wrap: anywhere;
  border-bottom: 1px solid #8886; }
th { border-bottom: 2px solid #888; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #8881; padding: .8rem; }
code { overflow-wrap: anywhere; }
"""


@dataclass(slots=True)
class Document:
    """Blocks in order. Text is plain; words between backquotes are code."""

    title: str
    blocks: list[tuple[str, object]] = field(default_factory=list)

    def heading(self, text: str) -> None:
        self.blocks.append(("heading", text))

    def paragraph(self, text: str) -> None:
        self.blocks.append(("paragraph", text))

    def bullets(self, items: Sequence[str]) -> None:
        self.blocks.append(("bullets", list(items)))

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.blocks.append(("table", [list(head), *map(list, rows)]))

    def code(self, text: str) -> None:
        self.blocks.append(("code", text))

    def as_html(self) -> str:
        """One file: no script, nothing loaded from anywhere, and none allowed."""
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
            f"<title>{html.escape(self.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
            f"<h1>{html.escape(self.title)}</h1>\n"
            + "".join(_html(kind, content) for kind, content in self.blocks)
            + "</body>\n</html>\n"
        )

    def as_markdown(self) -> str:
        """CommonMark with pipe tables."""
        parts = (_markdown(kind, content) for kind, content in self.blocks)
        return f"# {_plain(self.title)}\n\n" + "\n".join(parts)


def _spans(text: str) -> str:
    """HTML of a text with code between backquotes."""
    parts = html.escape(text).split("`")
    return "".join(f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts))


def _html(kind: str, content: object) -> str:
    if isinstance(content, str):
        tag = {"heading": "h2", "paragraph": "p"}.get(kind)
        if tag:
            return f"<{tag}>{_spans(content)}</{tag}>\n"
        return f"<pre><code>{html.escape(content)}</code></pre>\n"
    assert isinstance(content, list)
    if kind == "bullets":
        return "<ul>\n" + "".join(f"<li>{_spans(item)}</li>\n" for item in content) + "</ul>\n"
    head, *rows = content
    top = "".join(f"<th>{_spans(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{_spans(cell)}</td>" for cell in row) + "</tr>\n" for row in rows
    )
    return f"<table>\n<tr>{top}</tr>\n{body}</table>\n"


def _markdown(kind: str, content: object) -> str:
    if isinstance(content, str):
        if kind == "heading":
            return f"## {_plain(content)}\n"
        return f"{_plain(content)}\n" if kind == "paragraph" else f"```\n{content}\n```\n"
    assert isinstance(content, list)
    if kind == "bullets":
        return "".join(f"- {_plain(item)}\n" for item in content)
    head, *rows = content
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(map(_cell, line)) + " |\n" for line in lines)


def _plain(text: str) -> str:
    """Nothing in a text is markup but its backquotes."""
    parts = text.split("`")
    for number in range(0, len(parts), 2):
        for sign in "\\*_[]<>#":
            parts[number] = parts[number].replace(sign, f"\\{sign}")
    return "`".join(parts)


def _cell(text: str) -> str:
    return text if text == "---" else _plain(text).replace("|", "\\|")
