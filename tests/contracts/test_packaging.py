"""The wheel is complete, its requirements are pinned, and it works outside the source tree."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    "agent": "agent",
    "models": "agent/models",
    "tools/common": "tools/common",
    "tools/fleet": "tools/fleet",
}
PYTHONS = ("3.11.2", "3.12.3", "3.13.5")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def files_to_ship() -> Iterator[tuple[Path, str]]:
    """Every file of the package, of the models and of the fleet's side, with its place inside the
    wheel."""
    for top, place in PARTS.items():
        for path in sorted((ROOT / top).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path, f"{place}/{path.relative_to(ROOT / top).as_posix()}"
    yield ROOT / "tools" / "__init__.py", "tools/__init__.py"


def run(*command: str | Path, cwd: Path) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "FLEETING_CONFIG")}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=clean,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that left-overs of earlier builds cannot get into it."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    for name in PARTS:
        shutil.copytree(
            ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.nb[ci]")
        )
    shutil.copy(ROOT / "tools" / "__init__.py", source / "tools" / "__init__.py")
    out = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index")
    run(*pip, "-w", out, source, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of scripts of an environment that holds the wheel; dependencies are borrowed."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    site = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    run(
        sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install",
        "--no-deps", "--no-index", wheel, cwd=folder,
    )  # fmt: skip
    borrowed = "\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    # After the environment's own packages, so that ours is the one from the wheel.
    (Path(site) / "zz-borrowed.pth").write_text(borrowed + "\n", encoding="utf-8")
    return folder / "bin"


def test_every_package_is_listed(project: dict[str, Any]) -> None:
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for top in PARTS
        for path in (ROOT / top).rglob("*.py")
    }
    assert set(project["tool"]["setuptools"]["packages"]) == found | {"agent.models", "tools"}


@pytest.mark.slow
def test_the_wheel_holds_every_file_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        licence = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
    assert inside == {place for _, place in files_to_ship()}
    assert licence


@pytest.mark.slow
def test_the_installed_command_speaks_in_any_folder(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "fleeting", "--version", cwd=tmp_path).startswith("fleeting 0.")
    shown = run(installed / "fleeting", "config", "show", cwd=tmp_path)
    assert tomllib.loads(shown)["mqtt"]["port"] == 1883


@pytest.mark.slow
def test_models_and_clip_are_found_in_the_installed_package(
    installed: Path, tmp_path: Path
) -> None:
    script = (
        "from agent.inference.manifest import load_manifest, models_folder\n"
        "from agent.base.assets import CLIP\nfrom agent.desk.trace import truth\n"
        "manifest = load_manifest(models_folder(None))\n"
        "for entry in manifest.models.values(): entry.read()\n"
        "assert CLIP.stat().st_size and truth.load().events\n"
        "print(manifest.path)\n"
    )
    where = run(installed / "python", "-c", script, cwd=tmp_path).strip()
    assert Path(where).is_relative_to(installed.parent)


def pins() -> list[Requirement]:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in lines:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), f"no hash: {line[:60]}"
    return [Requirement(line.partition("--hash")[0].strip()) for line in lines]


def applies(marker: Marker | None, python: str, machine: str) -> bool:
    environment = {
        "python_version": ".".join(python.split(".")[:2]),
        "python_full_version": python,
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "extra": "",
    }
    return marker is None or marker.evaluate(environment)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("python", PYTHONS)
def test_requirements_pin_each_need_once(
    project: dict[str, Any], python: str, machine: str
) -> None:
    here = [pin for pin in pins() if applies(pin.marker, python, machine)]
    names = [pin.name for pin in here]
    assert len(names) == len(set(names))
    versions = {pin.name: str(pin.specifier).removeprefix("==") for pin in here}
    table = project["project"]
    extras = table["optional-dependencies"]
    tried = [need for name in ("test", "fleet", "read", "docs") for need in extras[name]]
    needs = [*table["dependencies"], *tried]
    for need in map(Requirement, [*needs, *project["build-system"]["requires"]]):
        assert need.specifier.contains(versions[need.name], prereleases=True), need


def test_requirements_name_no_place() -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert not re.search(r"://|^\s*-(?!-hash)|^\s*--(?!hash)|@ |/", text, re.MULTILINE)
