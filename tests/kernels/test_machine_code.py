"""Files of compiled kernels, damaged as by a power cut: compiled again, said once, never used."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent import kernels
from agent.kernels import machine_code
from agent.kernels.machine_code import KernelFile, Once

DATA = {"code": b"machine" * 100}


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _zero_page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:9])


def _garbage(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def _pickle(path: Path) -> None:
    path.write_bytes(b"\x80\x05]\x94.")


def _bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").write_bytes(b"")


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGE = (
    *(_empty, _zeros, _zero_page, _cut, _short, _garbage, _pickle, _bit, _folder, _link, _pipe),
)


@pytest.fixture(autouse=True)
def _unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_code, "first", Once())


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_compiled_again_and_said_once(
    damage: Callable[[Path], None], ending: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    KernelFile(str(tmp_path), "kernel", "stamp").save("key", DATA)
    assert KernelFile(str(tmp_path), "kernel", "stamp").load("key") == DATA
    (path,) = tmp_path.glob(f"*.{ending}")
    damage(path)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert KernelFile(str(tmp_path), "kernel", "stamp").load("key") is None
    silent = ending == "nbi" and damage is _pickle  # Numba's own index: an earlier version of us
    assert len(caplog.records) == (0 if silent else 1)
    KernelFile(str(tmp_path), "kernel", "stamp").save("key", DATA)
    assert KernelFile(str(tmp_path), "kernel", "stamp").load("key") == DATA


def test_a_missing_file_is_no_machine_code(tmp_path: Path) -> None:
    KernelFile(str(tmp_path), "kernel", "stamp").save("key", DATA)
    (path,) = tmp_path.glob("*.nbc")
    path.unlink()
    assert KernelFile(str(tmp_path), "kernel", "stamp").load("key") is None


def test_machine_code_of_another_source_or_signature_is_never_used(tmp_path: Path) -> None:
    """A power cut between the two files leaves an index and a file that do not belong together."""
    one = KernelFile(str(tmp_path), "kernel", "stamp")
    one.save("key", DATA)
    one.save("other", "second")
    assert (one.load("key"), one.load("other")) == (DATA, "second")
    first, second = sorted(tmp_path.glob("*.nbc"))
    second.write_bytes(first.read_bytes())
    assert (one.load("key"), one.load("other")) == (DATA, None)
    assert KernelFile(str(tmp_path), "kernel", "newer").load("key") is None


def test_a_folder_that_cannot_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = tmp_path / "gone"
    with caplog.at_level(logging.WARNING):
        for key in ("one", "two"):
            KernelFile(str(gone), "kernel", "stamp").save(key, DATA)
    (record,) = caplog.records
    assert f"{gone}: No such file or directory" in record.getMessage()


PROGRAM = """
import logging
logging.basicConfig(level=logging.INFO, format="%(message)s")
from agent.kernels import compiler
print(compiler._nothing(2.0), sum(compiler._nothing.stats.cache_hits.values()))
"""


@pytest.mark.slow
def test_a_kernel_starts_whatever_became_of_its_files(tmp_path: Path) -> None:
    """In processes of their own, with every file of the cache damaged in between."""

    def start() -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=Path(kernels.__file__).parents[2],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_DISABLE_JIT": "0"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.strip(), done.stderr.strip()

    assert start() == ("2.0 0", "")
    assert start() == ("2.0 1", "")
    files = [each for each in tmp_path.rglob("*.nb?") if each.is_file()]
    assert len(files) == 2
    for each in files:
        _zeros(each)
    out, said = start()
    assert out == "2.0 0"
    assert said.count("\n") == 0
    assert "compiled again" in said
    assert start() == ("2.0 1", "")
