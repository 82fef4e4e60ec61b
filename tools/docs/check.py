"""What must hold of the built site, and of Markdown that a forge shows: links, anchors, no foreign
host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tools.common.files import ROOT
from tools.docs import markdown

_LOADS = {
    ("script", "src"), ("link", "href"), ("img", "src"), ("img", "srcset"), ("iframe", "src"),
    ("source", "src"), ("video", "src"), ("audio", "src"), ("object", "data"), ("embed", "src"),
    ("use", "href"), ("form", "action"), ("meta", "content"),
}  # fmt: skip
"""Attributes whose address a browser fetches by itself, or sends something to."""
_CSS = re.compile(r"""(?:url\(\s*["']?|@import\s+["'])((?:https?:)?//[^"')\s]+)""")
_SCRIPT = re.compile(r"""["'`](https?://[^"'`\s]+|//[a-z0-9-]+\.[a-z]{2,}/[^"'`\s]*)["'`]""")
_NAMES_ONLY = re.compile(r"https?://(www\.w3\.org/|(www\.)?sitemaps\.org/|fontawesome\.com)")
"""Names of formats, and a licence: nobody fetches them."""


@dataclass(slots=True)
class _Document(HTMLParser):
    """The links and anchors of one page."""

    path: Path
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)
        self.feed(self.path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" or (tag == "a" and name == "name"):
                self.ids.add(value or "")
            elif name in ("href", "src") and value is not None:
                self.links.append(value)
            if (tag, name) in _LOADS and value:
                self.loaded.append(value)


def anchors(site: Path) -> dict[str, set[str]]:
    """Of each page, by its path within the site, whatever a link may name."""
    return {
        path.relative_to(site).as_posix(): _Document(path).ids
        for path in sorted(site.rglob("*.html"))
    }


def problems(site: Path) -> list[str]:
    """Broken links and foreign hosts of the built site, and of the Markdown it is made from."""
    return [*_links(site), *_hosts(site), *forge()]


def _links(site: Path) -> Iterator[str]:
    documents = {path: _Document(path) for path in sorted(site.rglob("*.html"))}
    ids = {path: each.ids for path, each in documents.items()}
    for path, document in documents.items():
        if path.name == "404.html":
            continue  # made for any address
        for link in dict.fromkeys(document.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
            if target.is_dir():
                target /= "index.html"
            here = path.relative_to(site)
            if not target.is_file() or not target.is_relative_to(site.resolve()):
                yield f"{here}: {link} leads nowhere"
            elif parts.fragment and unquote(parts.fragment) not in ids.get(target, set()):
                yield f"{here}: {link} names no anchor of that page"


def _hosts(site: Path) -> Iterator[str]:
    """Whatever a browser would load from elsewhere."""
    for path in sorted(site.rglob("*")):
        here = path.relative_to(site)
        if here.parts[0] in ("files", "search.js") or not path.is_file():
            continue  # copies of the repository; the text of all pages, which loads nothing
        if path.suffix == ".html":
            document = _Document(path)
            text = path.read_text(encoding="utf-8")
            found = [each for each in document.loaded if re.match(r"(https?:)?//", each)]
            found += _CSS.findall(text)
            for script in re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL):
                found += _SCRIPT.findall(script)
        elif path.suffix == ".css":
            found = _CSS.findall(path.read_text(encoding="utf-8"))
        elif path.suffix == ".js":
            found = _SCRIPT.findall(path.read_text(encoding="utf-8"))
        else:
            continue
        yield from (f"{here}: loads {each}" for each in found if not _NAMES_ONLY.match(each))


def forge() -> Iterator[str]:
    """Broken links of every Markdown file of the repository, as a forge shows it."""
    for path in sorted(markdown_files()):
        text = path.read_text(encoding="utf-8")
        for link in dict.fromkeys(markdown.links(text)):
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
            if (target / "README.md").is_file():
                target /= "README.md"
            here = path.relative_to(ROOT)
            if not target.exists():
                yield f"{here}: {link} leads nowhere"
            elif parts.fragment and target.suffix == ".md":
                there = target.read_text(encoding="utf-8")
                # What a page holds on the site only is looked for there.
                made = "<!-- generated: " in there
                if unquote(parts.fragment) not in markdown.anchors(there) and not made:
                    yield f"{here}: {link} names no anchor of that file"


def markdown_files() -> Iterator[Path]:
    """Those that somebody reads: not reports, not what is in ignored folders."""
    for top in ("agent", "docs", "models", "tools"):
        yield from (p for p in (ROOT / top).rglob("*.md") if "reference" not in p.parts)
    yield from ROOT.glob("*.md")
