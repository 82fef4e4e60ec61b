"""What may be read, and which devices are cameras."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from agent.host.sandbox import places

PACKAGE = Path(places.__file__).resolve().parents[3]


@pytest.mark.parametrize("reads", [places.perceive_reads, places.uplink_reads])
def test_python_and_what_is_given_may_be_read(
    reads: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(reads)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), "/", *sys.path])
    given = tmp_path / "given"
    found = set(reads([given]))
    assert {given, PACKAGE, Path(sys.prefix).resolve()} <= found
    assert Path("/") not in found
    assert Path("/dev") not in found
    assert Path("/proc") not in found
    assert Path("/etc") not in found
    assert tmp_path not in found  # the working folder, which Python puts first
    assert Path(f"/proc/{os.getpid()}") in found


def test_only_perceive_reads_about_the_hardware() -> None:
    hardware = {Path("/sys"), Path("/proc/cpuinfo")}
    assert hardware <= set(places.perceive_reads([]))
    assert not hardware & set(places.uplink_reads([]))


def test_a_camera_is_a_character_device(tmp_path: Path) -> None:
    link = tmp_path / "camera"
    link.symlink_to("/dev/zero")
    (tmp_path / "file").touch()
    found = places.cameras([link, tmp_path / "file", tmp_path / "absent", tmp_path])
    assert Path("/dev/zero") in found
    assert not any(path.is_relative_to(tmp_path) for path in found)
    assert all(path.is_char_device() for path in found)
