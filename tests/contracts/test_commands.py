"""The shell scripts of the README: POSIX shell, any folder, clear error messages."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("tools/setup-venv", "tools/run-demo", "tools/run-tests", ".ci/run")
BASICS = ("cat", "cksum", "cut", "dirname", "env", "id", "mkdir", "rm", "sh")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with a space in its name that holds the commands and what they read first."""
    folder = tmp_path / "a clone"
    (folder / "tools").mkdir(parents=True)
    for name in ("requirements.txt", "pyproject.toml", "tools/setup-venv", "tools/run-demo"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A PATH with the basic tools and no Python, package manager or sudo."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in BASICS:
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    return folder


def program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)


def call(command: Path, programs: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(command)],
        cwd="/",
        env={"PATH": str(programs), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_executable_posix_shell(script: str) -> None:
    path = ROOT / script
    assert os.access(path, os.X_OK)
    assert path.read_text(encoding="utf-8").startswith("#!/bin/sh\n")
    shell = shutil.which("dash") or "/bin/sh"
    done = subprocess.run([shell, "-n", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("version", ["", "exit 127", "exit 1"])
def test_no_python_that_fits_is_said_plainly(clone: Path, programs: Path, version: str) -> None:
    if version:
        program(programs / "python3", version)
    done = call(clone / "tools" / "run-demo", programs)
    assert done.returncode == 1
    assert "No Python 3.11, 3.12 or 3.13" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr
    assert not (clone / ".venv").exists()


def test_a_python_without_ensurepip_is_said_plainly(clone: Path, programs: Path) -> None:
    lacking = f'case "$*" in *ensurepip*) exit 1 ;; esac\nexec "{sys.executable}" "$@"'
    program(programs / "python3", lacking)
    done = call(clone / "tools" / "setup-venv", programs)
    assert done.returncode == 1
    wanted = f"python3.{sys.version_info[1]}-venv"
    assert f"sudo apt-get install {wanted}" in done.stderr


def test_ensurepip_is_installed_where_that_is_allowed(clone: Path, programs: Path) -> None:
    """apt-get and sudo are recorded; the interpreter lacks ensurepip until apt-get ran."""
    log = clone / "apt.log"
    lacking = (
        f'case "$*" in *ensurepip*) [ -f "{log}" ] || exit 1 ;; esac\n'
        'case "$*" in *"-m venv"*) echo reached >&2; exit 3 ;; esac\n'
        f'exec "{sys.executable}" "$@"'
    )
    program(programs / "python3", lacking)
    program(programs / "apt-get", f'echo "$*" >>"{log}"')
    program(programs / "sudo", '[ "$1" = -n ] && shift\nexec "$@"')
    done = call(clone / "tools" / "setup-venv", programs)
    assert f"python3.{sys.version_info[1]}-venv" in log.read_text(encoding="utf-8")
    assert "reached" in done.stderr
    assert done.returncode == 1


def test_half_made_environment_is_made_anew(clone: Path, programs: Path) -> None:
    """The interpreter is there and works, the mark of completion is not."""
    # Without pip inside, so that the installation is cut short: nothing may be fetched here.
    short = f'[ "$2" != venv ] || set -- "$@" --without-pip\nexec "{sys.executable}" "$@"'
    program(programs / "python3", short)
    (clone / ".venv" / "bin").mkdir(parents=True)
    program(clone / ".venv" / "bin" / "python", "exit 0")
    left = clone / ".venv" / "left-over"
    left.write_text("", encoding="utf-8")
    done = call(clone / "tools" / "setup-venv", programs)
    assert done.returncode == 1
    assert "installing requirements.txt failed" in done.stderr
    assert not left.exists()
    assert not (clone / ".venv" / ".fleeting-complete").exists()
