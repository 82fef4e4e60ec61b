"""The layers of the package: one table of permitted imports, checked against the source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]

LAYERS: dict[str, set[str]] = {
    "base": set(),
    "base.loaded": set(),
    "base.types": {"base"},
    "kernels": {"base.loaded"},
    "inference": {"base", "base.types"},
    "vision": {"base", "base.types", "inference", "kernels"},
    "voice": {"base", "base.types", "inference", "kernels"},
    "text": {"base", "base.types", "inference"},
    "fusion": {"base", "base.types"},
    "privacy.policy": {"base"},
    "privacy": {"base", "base.types", "privacy.policy"},
    "wall": {"base"},
    "host": {"base", "base.loaded"},
    "uplink": {"base", "privacy.policy", "wall", "host"},
    "update": {"base", "host"},
    "update.self_test": {"base", "base.types", "inference", "kernels", "vision", "text"},
    "perceive.traces": {"base", "base.types", "vision", "privacy.policy"},
    "perceive": {"base", "base.types", "inference", "kernels", "vision", "voice", "text", "fusion",
                 "privacy", "privacy.policy", "wall", "host", "perceive.traces"},
    "desk": {"base", "base.types", "inference", "kernels", "vision", "voice", "text", "fusion",
             "privacy", "privacy.policy", "wall", "host", "uplink", "perceive",
             "perceive.traces"},
    "cli": {"base", "desk", "host", "perceive", "update", "uplink"},
}  # fmt: skip
"""Row: what it may import beside itself. A module belongs to the longest row it begins with."""

LIBRARIES: dict[str, set[str]] = {
    "numba": {"kernels"},
    "llvmlite": {"kernels"},
    "cv2": {"vision", "privacy", "perceive", "desk"},
    "ai_edge_litert": {"inference"},
    "tflite_runtime": {"inference"},
    "picamera2": {"perceive"},
    "pyaudio": {"perceive"},
    "sounddevice": {"perceive"},
    "av": {"perceive", "desk"},
    "PIL": {"desk"},
    "pillow_heif": {"desk"},
    "wyoming": {"perceive"},
    "pydantic": {"base", "wall", "privacy.policy", "uplink", "update", "desk"},
    "paho": {"uplink", "desk"},
    "ssl": {"uplink", "desk"},
    "socket": {"uplink", "desk", "host", "perceive"},
    "http": {"desk"},
    "urllib": {"desk", "update"},
    "urllib3": {"update"},
    "tuf": {"update"},
    "securesystemslib": {"update"},
    "asyncio": {"desk"},
    "sqlite3": {"wall", "desk"},
    "numpy": {
        "base.types",
        "kernels",
        "inference",
        "vision",
        "voice",
        "text",
        "fusion",
        "privacy",
        "perceive",
        "perceive.traces",
        "update.self_test",
        "desk",
    },
    "matplotlib": {"desk"},
    "pandas": {"desk"},
    "psycopg": {"desk"},
    "rich": {"desk"},
}
"""Which rows may import a library directly; one that is not named here may be imported anywhere."""

KERNEL_LIBRARIES = {"numpy", "numba", "llvmlite", *sys.stdlib_module_names}
STARTERS = {"agent.cli", "agent.desk.demo", "agent.perceive.start"}
"""The only modules that may start a process's loop, of those outside its own folder."""
LOOPS = {"agent.perceive.process", "agent.uplink.process"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_of(package: str) -> dict[str, Path]:
    """Every module of a package of ours by name."""
    return {name_of(path): path for path in sorted((ROOT / package).rglob("*.py"))}


MODULES = modules_of("agent")


def row(module: str) -> str:
    """The row of LAYERS that a module of ours belongs to; empty for `agent` itself."""
    parts = module.split(".")[1:]
    found = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((each for each in found if each in LAYERS), "")


def imports(path: Path, modules: Mapping[str, Path] = MODULES) -> Iterator[tuple[int, str]]:
    """Line and full name of every import, wherever in the file it stands; of `from a import b` the
    module `a.b` where there is one, else `a`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno} imports relatively"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield node.lineno, full if full in modules else str(node.module)


def all_imports() -> Iterator[tuple[str, str, str]]:
    """Every import in `agent/`: importer, imported, and where."""
    for module, path in MODULES.items():
        for line, name in imports(path):
            yield module, name, f"{path.relative_to(ROOT)}:{line}"


def rows_of(module: str) -> list[str]:
    """The rows that an import has to satisfy: the module's own; for a package's `__init__` also
    those of everything below it, since whoever imports that runs it."""
    if MODULES[module].name != "__init__.py":
        return [row(module)]
    below = module.removeprefix("agent").lstrip(".")
    return [row(module)] * bool(below) + [
        each for each in LAYERS if not below or each.startswith(f"{below}.")
    ]


def forbidden(importing: str, imported: str) -> bool:
    """Whether a row must not import a module of ours or of somebody else."""
    top = imported.split(".")[0]
    if top == "agent":
        return row(imported) not in ("", importing, *LAYERS[importing])
    if importing == "kernels" and top not in KERNEL_LIBRARIES:
        return True
    return importing not in LIBRARIES.get(top, LAYERS)


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """One cycle for each import that closes one."""
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> None:
        if node in path:
            found.append([*path[path.index(node) :], node])
        elif node not in done:
            for each in sorted(graph.get(node, ())):
                visit(each, [*path, node])
            done.add(node)

    for node in graph:
        visit(node, [])
    return found


def test_no_import_is_forbidden_or_cyclic() -> None:
    """Every forbidden import with its line; cycles among modules, and among folders."""
    every = list(all_imports())
    assert len(every) > 1000, "the graph is empty: these tests see nothing"
    rows = {row(module) for module in MODULES}
    assert rows == {"", *LAYERS}, "rows of the table without a module, or modules without a row"
    wrong = [
        f"{where}: {importer} must not import {imported} (row {each})"
        for importer, imported, where in every
        for each in rows_of(importer)
        if forbidden(each, imported)
    ]
    wrong += [
        f"{where}: {importer} must not start {imported}"
        for importer, imported, where in every
        if imported in LOOPS and importer not in STARTERS
    ]
    kernels = "agent.kernels"
    wrong += [
        f"{where}: a cached kernel would call an old {imported}"
        for importer, imported, where in every
        if importer.startswith(f"{kernels}.")
        and imported.startswith(f"{kernels}.")
        and imported != f"{kernels}.machine_code"  # no kernel: none of it is compiled into one
    ]
    modules: dict[str, set[str]] = {}
    folders: dict[str, set[str]] = {}
    for importer, imported, _ in every:
        if imported in MODULES and imported != importer:
            modules.setdefault(importer, set()).add(imported)
            one, other = (folder(MODULES[each]) for each in (importer, imported))
            if one != other and imported != "agent":
                folders.setdefault(one, set()).add(other)
    wrong += [f"cycle: {' -> '.join(each)}" for each in cycles(modules) + cycles(folders)]
    assert not wrong, "\n" + "\n".join(wrong)


def folder(path: Path) -> str:
    """Where a module lives; those that are a room by themselves, in themselves."""
    local = path.relative_to(ROOT)
    alone = len(local.parts) == 2 and path.name != "__init__.py"
    return (local.with_suffix("") if alone else local.parent).as_posix()


def test_every_package_has_a_docstring_and_the_root_holds_layers_only() -> None:
    root = {path.name for path in (ROOT / "agent").iterdir() if path.name != "__pycache__"}
    rooms = {each.split(".")[0] for each in LAYERS} - {"cli", "fusion"}
    assert root == {
        "__init__.py",
        "cli.py",
        "fusion.py",
        "py.typed",
        "DECISIONS.md",
        "THREAT-MODEL.md",
        *rooms,
    }
    for path in (ROOT / "agent").rglob("__init__.py"):
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        assert docstring, f"{path} does not say what lives there"
        assert len(docstring.splitlines()) < 30


def builds_summary(tree: ast.AST) -> bool:
    """A call of `Summary`, under any import, or of a constructor of its base class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in ("Summary", "HeardSummary", "model_construct"):
                return True
            owner = called.value if isinstance(called, ast.Attribute) else None
            if name == "model_validate" and "Summary" in ast.dump(owner or ast.Pass()):
                return True
    return False


def test_only_release_builds_a_summary() -> None:
    trees = {module: ast.parse(path.read_text()) for module, path in MODULES.items()}
    assert [module for module, tree in trees.items() if builds_summary(tree)] == [
        "agent.privacy.release"
    ]
    renamed = {
        module
        for module, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in ("Summary", "HeardSummary") and alias.asname
    }
    assert not renamed, f"{renamed} hide Summary behind another name"
    assert builds_summary(ast.parse("report.Summary(v=1)"))
    assert builds_summary(ast.parse("HeardSummary(v=2)"))
    assert builds_summary(ast.parse("Summary.model_validate({})"))
    assert not builds_summary(ast.parse("Summary.model_validate_json(body)"))


def test_sockets_in_perceive_and_host_are_local() -> None:
    """Outside uplink and desk only AF_UNIX, apart from the sandbox's self-test."""
    self_test = ("agent.host.sandbox.probe", "agent.host.sandbox.refusals")
    for module, path in MODULES.items():
        uses = any(name == "socket" for _, name in imports(path))
        if uses and row(module) in ("perceive", "host") and module not in self_test:
            text = path.read_text()
            assert "AF_UNIX" in text, module
            assert "AF_INET" not in text, module


def test_the_kernels_package_finds_a_cache_before_numba_is_loaded() -> None:
    tops = {name.split(".")[0] for _, name in imports(MODULES["agent.kernels"])}
    assert tops <= sys.stdlib_module_names
