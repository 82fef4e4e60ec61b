"""The walls of the house, read from the source: who may know whom."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AGENT = ROOT / "agent"

CORE = ("faces", "expression", "micro", "voice", "text", "fusion", "kernels", "privacy", "types",
        "report", "errors")  # fmt: skip
SHELLS = ("capture", "inference", "uplink", "outbox", "supervise", "perceive", "replay", "check",
          "cli", "demo", "handoff", "pipeline", "trace", "inspect", "spot", "audit", "notice",
          "children", "receipt", "content", "directions", "settings", "start", "warm", "cage",
          "notify")  # fmt: skip
PROCESSES = ("agent.perceive.process", "agent.uplink.process", "agent.host.supervise")
UNIX_ONLY = ("content", "notify")
"""Rooms that know sockets of this machine only."""


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(AGENT.rglob("*.py"))}


def imports(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, wherever in the file it stands."""
    module = name_of(path)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                base = package.split(".")[: len(package.split(".")) - node.level + 1]
                origin = ".".join([*base, origin]).rstrip(".")
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def direct(module: str) -> set[str]:
    """Modules of ours that `module` imports, the packages around them included."""
    found = set()
    for name in imports(MODULES[module]):
        parts = name.split(".")
        found |= {".".join(parts[: n + 1]) for n in range(len(parts))} & set(MODULES)
    return found - {module}


def reach(module: str) -> set[str]:
    """Everything of ours that importing `module` brings in."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        for each in direct(waiting.pop()) - seen:
            seen.add(each)
            waiting.append(each)
    return seen


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def of_rooms(*rooms: str) -> list[str]:
    return [module for module in MODULES if room(module) in rooms]


def test_every_room_is_known_to_these_tests() -> None:
    others = {"", "config", "clock", "schemas"}
    assert {room(module) for module in MODULES} <= {*CORE, *SHELLS, *others}


@pytest.mark.parametrize("module", of_rooms(*CORE))
def test_core_imports_no_shell(module: str) -> None:
    assert [each for each in sorted(reach(module)) if room(each) in SHELLS] == []


@pytest.mark.parametrize(
    "module", of_rooms("uplink", "outbox", "schemas", "report", "receipt", "settings", "notify")
)
def test_who_talks_never_learns_what_was_perceived(module: str) -> None:
    """Not through another module either."""
    assert "agent.base.types" not in reach(module)
    seers = {"capture", "inference", "faces", "expression", "micro", "pipeline", "trace"}
    assert [each for each in sorted(reach(module)) if room(each) in seers] == []


@pytest.mark.parametrize("module", of_rooms("uplink", "outbox", "receipt", "settings"))
def test_who_talks_imports_no_camera_or_model_library(module: str) -> None:
    for each in {module, *reach(module)}:
        tops = {name.split(".")[0] for name in imports(MODULES[each])}
        assert tops.isdisjoint({"cv2", "numba", "ai_edge_litert", "tflite_runtime", "picamera2"})


@pytest.mark.parametrize("module", of_rooms("kernels"))
def test_kernels_import_only_numpy_and_numba(module: str) -> None:
    tops = {name.split(".")[0] for name in imports(MODULES[module])}
    if module == "agent.vision.kernels":  # finds Numba a cache before the kernels are compiled
        assert tops <= sys.stdlib_module_names
    else:
        # llvmlite is Numba's own code generator
        allowed = {"numpy", "numba", "llvmlite", "__future__", "math", "typing", "collections"}
        assert tops <= allowed
    assert reach(module) <= {"agent", "agent.vision.kernels"}


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) != "kernels"])
def test_numba_lives_in_the_kernels_only(module: str) -> None:
    assert "numba" not in {name.split(".")[0] for name in imports(MODULES[module])}


NETWORK = {"paho", "socket", "ssl", "http", "urllib", "asyncio"}


@pytest.mark.parametrize(
    "module",
    [m for m in MODULES if room(m) not in ("uplink", "demo", "check", "audit", "cage", *UNIX_ONLY)],
)
def test_only_who_talks_knows_mqtt_and_sockets(module: str) -> None:
    tops = {name.split(".")[0] for name in imports(MODULES[module])}
    assert tops.isdisjoint(NETWORK)


@pytest.mark.parametrize("module", of_rooms(*UNIX_ONLY))
def test_sockets_of_this_machine_are_no_way_out(module: str) -> None:
    tops = {name.split(".")[0] for name in imports(MODULES[module])}
    assert tops.isdisjoint(NETWORK - {"socket"})
    text = MODULES[module].read_text()
    assert "AF_UNIX" in text
    assert "AF_INET" not in text


def test_the_half_that_sees_never_learns_to_talk() -> None:
    for module in reach("agent.perceive.process"):
        assert room(module) not in ("uplink", "audit", "check")
        tops = {name.split(".")[0] for name in imports(MODULES[module])}
        assert tops.isdisjoint(NETWORK - {"socket"}), module


@pytest.mark.parametrize("module", MODULES)
def test_only_the_command_line_and_the_demo_start_processes(module: str) -> None:
    starts = direct(module).intersection(PROCESSES)
    assert not starts or room(module) in ("cli", "demo", "start")


def builds_summary(tree: ast.AST) -> bool:
    """A call of `Summary`, however it was imported, or of a back door of its base class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in ("Summary", "model_construct"):
                return True
            owner = called.value if isinstance(called, ast.Attribute) else None
            if name == "model_validate" and "Summary" in ast.dump(owner or ast.Pass()):
                return True
    return False


def test_only_release_builds_a_summary() -> None:
    builders = [m for m, path in MODULES.items() if builds_summary(ast.parse(path.read_text()))]
    assert builders == ["agent.privacy.release"]
    for module, path in MODULES.items():
        renamed = [
            alias.asname
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if alias.name == "Summary"
        ]
        assert renamed in ([], [None]), f"{module} hides Summary behind another name"


def test_the_tests_above_can_see() -> None:
    """They would be worth nothing if the graph were empty."""
    assert "agent.base.types" in reach("agent.privacy.release")
    assert "agent.base.report" in reach("agent.uplink.process")
    assert "agent.uplink.client" in reach("agent.uplink.process")
    assert builds_summary(ast.parse("report.Summary(v=1)"))
    assert builds_summary(ast.parse("Summary.model_validate({})"))
    assert not builds_summary(ast.parse("Summary.model_validate_json(body)"))
