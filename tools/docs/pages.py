"""Which pages the site has, and where: `docs/mkdocs.yml` names them by their place in the clone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tools.common.errors import ToolError
from tools.common.files import ROOT

DOCS = ROOT / "docs"
CONFIG = DOCS / "mkdocs.yml"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the site."""

    source: Path
    """In the repository."""
    place: str
    """Of its Markdown, below the site's pages."""

    @property
    def built(self) -> str:
        """Of its HTML, below the site."""
        return self.place.removesuffix(".md") + ".html"


def yaml() -> Any:
    """The library. Raises `ToolError` where the extra is missing."""
    try:
        import yaml as library
    except ImportError:
        raise ToolError("The site needs the extra docs: pip install '.[docs]'.") from None
    return library


def settings() -> dict[str, Any]:
    """What `docs/mkdocs.yml` says."""
    found: dict[str, Any] = yaml().safe_load(CONFIG.read_text(encoding="utf-8"))
    return found


def place(source: Path) -> str:
    """Where a page of the repository stands on the site: docs/ at its root, a folder's README and a
    model's card under the folder's name."""
    path = source.relative_to(DOCS) if source.is_relative_to(DOCS) else source.relative_to(ROOT)
    if source == ROOT / "README.md":
        return "readme.md"
    if path.name in ("README.md", "CARD.md"):
        return f"{path.parent}.md"
    return str(path)


def _leaves(nav: Any) -> Iterator[str]:
    for entry in nav:
        value = next(iter(entry.values())) if isinstance(entry, dict) else entry
        if isinstance(value, str):
            yield value
        else:
            yield from _leaves(value)


@cache
def pages() -> dict[Path, Page]:
    """Every page by its file. Raises `ToolError` for one that the navigation names and that is not
    there, and for one of docs/ that it does not name."""
    found = {}
    for name in _leaves(settings()["nav"]):
        source = (DOCS / name).resolve()
        if not source.is_file():
            raise ToolError(f"docs/mkdocs.yml names {name}, which does not exist. Correct it.")
        found[source] = Page(source, place(source))
    lost = sorted(path.name for path in DOCS.glob("*.md") if path not in found)
    if lost:
        raise ToolError(f"docs/mkdocs.yml does not name {', '.join(lost)}. Add each to nav.")
    return found


def navigation() -> list[Any]:
    """The navigation by places on the site."""

    def turned(nav: list[Any]) -> list[Any]:
        out: list[Any] = []
        for entry in nav:
            ((title, value),) = entry.items()
            if isinstance(value, list):
                out.append({title: turned(value)})
            else:
                out.append({title: pages()[(DOCS / value).resolve()].place})
        return out

    return turned(settings()["nav"])
