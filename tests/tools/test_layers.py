"""Which room of `tools/` may import which: those to its left, never those to its right."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("common", "render", "micro", "train", "eval", "bench", "robustness")
"""In order, from left to right."""
ALONE = ("capacity", "demo", "fleet")
"""These import `common` only, and nothing imports them."""
Arrow = tuple[str, str, int]
"""Module that imports, module that is imported, line."""


@cache
def modules() -> dict[str, Path]:
    """Every module of `tools` by name."""
    found = {}
    for path in sorted((ROOT / "tools").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def arrows() -> tuple[Arrow, ...]:
    """Every import of one module of `tools` by another, also those inside functions."""
    return tuple(arrow for name, path in modules().items() for arrow in _imports(name, path))


def _imports(name: str, path: Path) -> Iterator[Arrow]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: imports are absolute here"
            wanted = [f"{node.module}.{alias.name}" for alias in node.names]
            wanted = [full if full in modules() else str(node.module) for full in wanted]
        else:
            continue
        yield from ((name, other, node.lineno) for other in wanted if other in modules())


def room(module: str) -> str:
    return module.split(".")[1]


def allowed(source: str, target: str) -> bool:
    if source == target:
        return True
    if source in ALONE or target in ALONE:
        return target == "common"
    return ROOMS.index(target) < ROOMS.index(source)


def test_no_arrow_runs_back() -> None:
    assert {room(name) for name in modules() if "." in name} == {*ROOMS, *ALONE}
    back = [
        f"{modules()[source].relative_to(ROOT)}:{line} imports {target}"
        for source, target, line in arrows()
        if not allowed(room(source), room(target))
    ]
    assert not back, "\n".join(back)


def test_no_modules_import_one_another_in_a_circle() -> None:
    ahead: dict[str, set[str]] = {name: set() for name in modules()}
    for source, target, _ in arrows():
        ahead[source].add(target)
    while done := [name for name, targets in ahead.items() if not targets & ahead.keys()]:
        for name in done:
            del ahead[name]
    assert not ahead, f"on a circle, or importing one: {', '.join(sorted(ahead))}"
