"""A document of headings, paragraphs, lists, tables and code, as Markdown or as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field

from markdown_it import MarkdownIt

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
    """A sequence of blocks. Text is plain, apart from `code` between backquotes."""

    title: str
    blocks: list[str] = field(default_factory=list)
    """CommonMark with pipe tables."""

    def heading(self, text: str) -> None:
        self.blocks.append(f"## {_escaped(text)}\n")

    def paragraph(self, text: str) -> None:
        self.blocks.append(f"{_escaped(text)}\n")

    def bullets(self, items: Sequence[str]) -> None:
        self.blocks.append("".join(f"- {_escaped(item)}\n" for item in items))

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        lines = [[_escaped(cell).replace("|", "\\|") for cell in line] for line in (head, *rows)]
        lines.insert(1, ["---"] * len(head))
        self.blocks.append("".join(f"| {' | '.join(line)} |\n" for line in lines))

    def code(self, text: str) -> None:
        self.blocks.append(f"```\n{text}\n```\n")

    def as_markdown(self) -> str:
        return f"# {_escaped(self.title)}\n\n" + "\n".join(self.blocks)

    def as_html(self) -> str:
        """A self-contained file without scripts or external resources, by its security policy."""
        body = MarkdownIt("commonmark", {"html": False}).enable("table").render(self.as_markdown())
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
            f"<title>{html.escape(self.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
            f"{body}</body>\n</html>\n"
        )


def _escaped(text: str) -> str:
    """Escape all markup but backquotes."""
    parts = text.split("`")
    for number in range(0, len(parts), 2):
        for sign in "\\&*_[]<>#":
            parts[number] = parts[number].replace(sign, f"\\{sign}")
    return "`".join(parts)
