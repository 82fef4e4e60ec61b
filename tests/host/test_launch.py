"""The launcher: which slot is started, and what it counts. Run as the units run it, by its path."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.host import launch
from agent.host.launch import MAX_STARTS, read_starts

PROGRAM = "import os, sys, time\nprint(NAME, *sys.argv[1:], flush=True)\n{}\n"


def package(root: Path, body: str = "") -> Path:
    """A package that says where it is."""
    for name, text in {
        "agent/__init__.py": "",
        "agent/cli.py": f"NAME = {root.name!r}\n" + PROGRAM.format(body),
        "models/manifest.toml": "",
        "requirements.txt": "numpy==2\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A base installation with the launcher in its place."""
    root = package(tmp_path / "installed")
    (root / "agent/host").mkdir()
    shutil.copy(launch.__file__, root / "agent/host/launch.py")
    return root


@pytest.fixture
def slots(tmp_path: Path) -> Path:
    folder = tmp_path / "slots"
    folder.mkdir()
    package(folder / "a")
    package(folder / "b")
    return folder


def start(base: Path, slots: Path, *options: str, alive: Path | None = None) -> str:
    environment = {**os.environ, "FLEETING_HEARTBEAT": str(alive or "")}
    environment.pop("PYTHONPATH", None)
    script = str(base / "agent/host/launch.py")
    done = subprocess.run(
        [sys.executable, "-I", "-S", script, *options, str(slots), "perceive", "--config", "x"],
        capture_output=True, text=True, env=environment, timeout=60, check=True,
    )  # fmt: skip
    name, *arguments = done.stdout.split()
    assert arguments == ["perceive", "--config", "x"]
    return name


def test_without_links_or_slots_the_base_is_started(base: Path, slots: Path) -> None:
    assert start(base, slots) == "installed"
    shutil.rmtree(slots)
    assert start(base, slots) == "installed"


def test_the_slot_in_force_is_started_and_the_updater_from_the_confirmed_one(
    base: Path, slots: Path
) -> None:
    (slots / "current").symlink_to("b")
    assert start(base, slots) == "b"
    assert start(base, slots, "--confirmed") == "installed"
    (slots / "confirmed").symlink_to("a")
    assert start(base, slots, "--confirmed") == "a"


@pytest.mark.parametrize("target", ["../elsewhere", "/", "a/", "./a", "c", "a/../b", "current"])
def test_a_link_that_leads_elsewhere_is_refused(base: Path, slots: Path, target: str) -> None:
    package(slots.parent / "elsewhere")
    (slots / "current").symlink_to(target)
    assert start(base, slots) == "installed"


@pytest.mark.parametrize("harm", ["link", "no package", "no models", "other libraries", "file"])
def test_a_slot_that_is_not_whole_is_refused(base: Path, slots: Path, harm: str) -> None:
    (slots / "current").symlink_to("a")
    assert start(base, slots) == "a"
    if harm == "link":
        (slots / "a").rename(slots.parent / "moved")
        (slots / "a").symlink_to(slots.parent / "moved")
    elif harm == "file":
        shutil.rmtree(slots / "a")
        (slots / "a").write_text("")
    elif harm == "other libraries":
        (slots / "a/requirements.txt").write_text("numpy==3\n")
    else:
        (
            slots / "a" / ("agent/cli.py" if harm == "no package" else "models/manifest.toml")
        ).unlink()
    assert start(base, slots) == "installed"


def test_a_pending_slot_is_started_three_times_then_what_was_before(
    base: Path, slots: Path, tmp_path: Path
) -> None:
    alive = tmp_path / "alive"
    alive.mkdir()
    (slots / "confirmed").symlink_to("a")
    (slots / "current").symlink_to("b")
    started = [start(base, slots, alive=alive) for _ in range(MAX_STARTS + 2)]
    assert started == ["b"] * MAX_STARTS + ["a"] * 2
    found, is_alive = read_starts(alive / "perceive.starts")
    assert found is not None
    assert (found.slot, found.count, is_alive) == ("b", MAX_STARTS + 2, False)
    (slots / "current").unlink()  # switched anew: counted from anew
    (slots / "current").symlink_to("b")
    assert start(base, slots, alive=alive) == "b"
    (slots / "confirmed").unlink()  # confirmed: never too often
    (slots / "confirmed").symlink_to("b")
    assert {start(base, slots, alive=alive) for _ in range(MAX_STARTS + 2)} == {"b"}


def test_the_record_is_locked_as_long_as_the_service_lives(
    base: Path, slots: Path, tmp_path: Path
) -> None:
    (slots / "current").symlink_to("a")
    package(slots / "a", "time.sleep(60)")
    script = str(base / "agent/host/launch.py")
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", script, str(slots), "uplink"], stdout=subprocess.PIPE,
        env={**os.environ, "FLEETING_HEARTBEAT": str(tmp_path)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        process.stdout.readline()
        found, alive = read_starts(tmp_path / "uplink.starts")
        assert found is not None
        assert (found.pid, found.slot, alive) == (process.pid, "a", True)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    until = time.monotonic() + 10
    while read_starts(tmp_path / "uplink.starts")[1]:
        assert time.monotonic() < until


def test_a_place_that_cannot_be_written_stops_nothing(base: Path, slots: Path) -> None:
    (slots / "current").symlink_to("a")
    assert start(base, slots, alive=Path("/proc")) == "a"
    assert start(base, slots, alive=Path("/no/such/folder")) == "a"
