"""Where pages are swapped to, and locking them: simulated tables, and a real lock."""

from __future__ import annotations

import json
import logging
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from agent.host import swap

ROOT = Path(__file__).resolve().parents[2]
HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


@pytest.mark.parametrize(
    ("names", "disk", "memory"),
    [
        ([], (), ()),
        (["/dev/zram0"], (), ("/dev/zram0",)),
        (["/swapfile"], ("/swapfile",), ()),
        (["/dev/zram0", "/dev/dm-1"], ("/dev/dm-1",), ("/dev/zram0",)),
        (["/dev/zram1"], ("/dev/zram1",), ()),  # with a disk behind it
        (["/home/zram0"], ("/home/zram0",), ()),
    ],
)
def test_zram_alone_is_memory(
    names: list[str], disk: tuple[str, ...], memory: tuple[str, ...], tmp_path: Path
) -> None:
    for name, backing in (("zram0", "none"), ("zram1", "/dev/mmcblk0p3")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "backing_dev").write_text(f"{backing}\n")
    table = tmp_path / "swaps"
    table.write_text(HEAD + "".join(f"{each} file\t\t102396\t\t0\t\t-2\n" for each in names))
    assert swap.areas(table, tmp_path) == swap.SwapAreas(disk, memory)
    assert swap.areas(tmp_path / "absent", tmp_path) == swap.SwapAreas((), ())


@pytest.mark.parametrize(
    ("group", "limits", "expected"),
    [
        ("0::/system.slice/x.service", {"system.slice/x.service": "0"}, True),
        (
            "0::/system.slice/x.service",
            {"system.slice": "0", "system.slice/x.service": "max"},
            True,
        ),
        ("0::/system.slice/x.service", {"system.slice/x.service": "max"}, False),
        ("0::/system.slice/x.service", {}, False),  # memory is not counted
        ("4:memory:/x", {"x": "0"}, False),
    ],
)
def test_a_control_group_may_forbid_swap(
    group: str, limits: dict[str, str], expected: bool, tmp_path: Path
) -> None:
    (tmp_path / "cgroup").write_text(f"1:name=systemd:/\n{group}\n")
    for folder, limit in limits.items():
        (tmp_path / "fs" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / folder / "memory.swap.max").write_text(f"{limit}\n")
    assert swap.forbidden(tmp_path / "cgroup", tmp_path / "fs") is expected
    assert not swap.forbidden(tmp_path / "absent", tmp_path / "fs")


@pytest.fixture
def swapping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swap, "areas", lambda: swap.SwapAreas(("/swapfile",), ()))
    monkeypatch.setattr(swap, "forbidden", lambda: False)
    monkeypatch.setattr(swap, "_capabilities", lambda: 0)


@pytest.mark.usefixtures("swapping")
def test_a_limit_is_said_plainly_and_nothing_is_locked(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A finite limit would make later allocations fail."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (8 << 20, 8 << 20))
    monkeypatch.setattr(swap, "lock", lambda: pytest.fail("locked"))
    with caplog.at_level(logging.WARNING):
        assert not swap.keep_out()
    (line,) = [record.getMessage() for record in caplog.records]
    assert "swapped to /swapfile" in line
    assert "RLIMIT_MEMLOCK is 8192 KiB" in line


@pytest.mark.usefixtures("swapping")
def test_a_lock_that_fails_is_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(swap, "may_lock", lambda: True)
    monkeypatch.setattr(swap, "lock", fail)
    assert not swap.keep_out()
    assert "Cannot allocate memory" in caplog.text


def test_without_a_disk_to_swap_to_nothing_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swap, "areas", lambda: swap.SwapAreas((), ("/dev/zram0",)))
    monkeypatch.setattr(swap, "lock", lambda: pytest.fail("locked"))
    assert swap.keep_out()


LOCKED = """
import json, sys
sys.path.insert(0, {root!r})
from agent.host import swap
swap.areas = lambda: swap.SwapAreas(("/swapfile",), ())
swap.forbidden = lambda: False
kept = swap.keep_out()
block = bytearray(b"x") * (8 << 20)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps(dict(kept=kept, locked=int(status["VmLck"].split()[0]),
                      resident=int(status["VmRSS"].split()[0]))))
"""


@pytest.mark.skipif(not swap.may_lock(), reason="this user may not lock memory")
def test_what_is_touched_later_is_locked_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOCKED.format(root=str(ROOT))],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = json.loads(done.stdout)
    assert found["kept"]
    assert found["locked"] >= 8 << 10
