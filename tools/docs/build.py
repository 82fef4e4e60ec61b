"""Pages to a site: markers expanded, links turned to places on the site, then zensical."""

from __future__ import annotations

import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.common.errors import ToolError
from tools.common.files import ROOT, run_folder
from tools.docs import generated, markdown
from tools.docs.pages import DOCS, Page, navigation, pages, settings, yaml

_FENCE_WORDS = re.compile(r"^( {0,3}```\w+) .+$", re.MULTILINE)
_PROGRAM = (sys.executable, "-P", "-m", "zensical", "build", "--clean")
_ASSETS = ("site.css", "find.js")
_ELSEWHERE = re.compile(
    r"https://(?:unpkg\.com|cdn\.jsdelivr\.net|api\.github\.com|\$\{\w+\}/api)[^\"'`\s]*"
)
"""What the theme's script would fetch for features that no page here uses."""
_WORKER = "new Worker(e)"


def build(folder: Path | None = None) -> Path:
    """Build the site and return its folder, `runs/docs/site` by default.

    Raises `ToolError` where a page names what does not exist, or zensical fails.
    """
    folder = folder or run_folder("docs")
    source, site = folder / "pages", folder / "site"
    for each in (source, site):
        shutil.rmtree(each, ignore_errors=True)
    source.mkdir(parents=True)
    for page in pages().values():
        target = source / page.place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(staged(page, source), encoding="utf-8")
    for name in _ASSETS:
        shutil.copyfile(DOCS / "site" / name, source / name)
    config = {
        **settings(), "nav": navigation(), "docs_dir": "pages", "site_dir": "site",
    }  # fmt: skip
    path = folder / "mkdocs.yml"
    path.write_text(yaml().safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    _zensical(path, site)
    for script in site.rglob("*.js"):
        text = script.read_text(encoding="utf-8")
        script.write_text(_ELSEWHERE.sub("about:invalid", text), encoding="utf-8")
    _search_without_server(site)
    return site


def _search_without_server(site: Path) -> None:
    """A browser lets a page that was opened as a file neither fetch the index nor start a worker
    from another file: both are put into scripts. Raises `ToolError` where the theme has changed."""
    index = (site / "search.json").read_text(encoding="utf-8")
    (site / "search.js").write_text(f"var __index = {index}", encoding="utf-8")
    scripts = site / "assets" / "javascripts"
    bundles, workers = list(scripts.glob("bundle.*.js")), list(scripts.glob("workers/search.*.js"))
    text = bundles[0].read_text(encoding="utf-8") if len(bundles) == len(workers) == 1 else ""
    if text.count(_WORKER) != 1:
        raise ToolError("The theme of zensical is another one: its search would need a server.")
    held = f"URL.createObjectURL(new Blob([{json.dumps(workers[0].read_text(encoding='utf-8'))}]))"
    own = f'new Worker(location.protocol==="file:"?{held}:e)'
    bundles[0].write_text(text.replace(_WORKER, own), encoding="utf-8")


def staged(page: Page, source: Path) -> str:
    """A page as zensical reads it; files that it links to are copied beside the pages."""
    text = generated.expand(page.source.read_text(encoding="utf-8"))
    text = _FENCE_WORDS.sub(r"\1", markdown.anchored(text))
    return markdown.relink(text, lambda whole, label, to: _turned(page, source, whole, label, to))


def _turned(page: Page, source: Path, whole: str, label: str, target: str) -> str:
    """One link, as it must be on the site. Raises `ToolError` where it leads nowhere."""
    path, hash_, anchor = target.partition("#")
    if re.match(r"[a-z]+:", target) or not path:
        return whole
    file = (page.source.parent / path).resolve()
    if file.is_dir():
        if not (file / "README.md").is_file():
            return label  # a folder is something on a forge only
        file = file / "README.md"
    if not file.exists() or not file.is_relative_to(ROOT):
        raise ToolError(f"{page.source.relative_to(ROOT)} links to {target}, which is not there.")
    known = pages().get(file)
    place = known.place if known else _copied(file, source)
    here = posixpath.dirname(page.place) or "."
    return whole.replace(f"({target})", f"({posixpath.relpath(place, here)}{hash_}{anchor})")


def _copied(file: Path, source: Path) -> str:
    """A picture or a file of the repository that is no page, under `files/`."""
    place = f"files/{file.relative_to(ROOT).as_posix()}"
    # What a browser would run or save stands as text.
    if file.suffix not in (".png", ".jpg", ".svg", ".json", ".toml", ".txt"):
        place += ".txt"
    target = source / place
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)
    return place


def _zensical(config: Path, site: Path) -> None:
    command = [*_PROGRAM, "-f", str(config)]
    clean: dict[str, Any] = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(
        command, cwd=config.parent, env=clean, capture_output=True, text=True, check=False
    )
    if "No module named zensical" in done.stderr:
        raise ToolError("The site needs the extra docs: pip install '.[docs]'.")
    if done.returncode or not (site / "index.html").is_file():
        raise ToolError(f"zensical failed: {(done.stdout + done.stderr).strip()}")
