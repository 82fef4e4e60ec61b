"""Which room of `tools/` may import which: those to its left, never those to its right."""

from __future__ import annotations

from functools import cache

from tests.contracts.test_layers import ROOT, cycles, imports, modules_of

ROOMS = ("common", "render", "micro", "train", "eval", "bench", "robustness")
"""In order, from left to right."""
ALONE = ("arm64", "capacity", "coding", "demo", "docs", "fleet", "golden", "warm_up")
"""These import `common` only, and nothing imports them."""
MODULES = modules_of("tools")


@cache
def arrows() -> list[tuple[str, str, str]]:
    """Every import of one module of `tools` by another, also those inside functions, and where."""
    return [
        (importer, imported, f"{path.relative_to(ROOT)}:{line}")
        for importer, path in MODULES.items()
        for line, imported in imports(path, MODULES)
        if imported in MODULES
    ]


def room(module: str) -> str:
    return module.split(".")[1]


def allowed(source: str, target: str) -> bool:
    if source == target or target == "common":
        return True
    return not {source, target} & {*ALONE} and ROOMS.index(target) < ROOMS.index(source)


def test_no_arrow_runs_back() -> None:
    assert {room(name) for name in MODULES if "." in name} == {*ROOMS, *ALONE}
    assert len(arrows()) > 300, "the graph is empty: this test sees nothing"
    back = [
        f"{where} imports {imported}"
        for importer, imported, where in arrows()
        if not allowed(room(importer), room(imported))
    ]
    assert not back, "\n".join(back)


def test_no_modules_import_one_another_in_a_circle() -> None:
    ahead: dict[str, set[str]] = {}
    for importer, imported, _ in arrows():
        ahead.setdefault(importer, set()).add(imported)
    assert not cycles(ahead)
