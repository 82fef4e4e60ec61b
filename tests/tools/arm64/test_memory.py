"""What of an emulated process's memory is its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.arm64.memory import guest_ranges, held, process_of, together
from tools.common.errors import ToolError

MAPS = "7\n00400000-00600000 r-xp 00000000 08:01 1 /usr/bin/python3\n7f00-7f80 rw-p 0 00:00 0\n"


def smaps(*entries: tuple[int, int, int, int]) -> str:
    """(first, end, Rss, Pss), kB."""
    return "".join(
        f"{low:x}-{high:x} rw-p 00000000 00:00 0 \nSize: 4 kB\nRss: {rss:15} kB\nPss: {pss:15} kB\n"
        for low, high, rss, pss in entries
    )


def test_only_the_programs_own_ranges_count() -> None:
    number, ranges = guest_ranges(MAPS)
    assert number == 7
    assert ranges == [(0x400000, 0x600000), (0x7F00, 0x7F80)]
    found = held(
        smaps((0x400000, 0x600000, 1000, 500), (0x10000000, 0x20000000, 70000, 70000)), ranges
    )
    assert (found.rss, found.pss) == (1000 * 1024, 500 * 1024)
    assert found.emulator == 70000 * 1024


def test_a_mapping_that_reaches_beyond_counts_by_its_share() -> None:
    found = held(smaps((0x400000, 0x800000, 1000, 1000)), [(0x400000, 0x600000)])
    assert found.rss == found.emulator == 500 * 1024


def test_pages_of_files_count_once() -> None:
    ranges = [(0x1000, 0x9000)]
    text = smaps((0x1000, 0x2000, 100, 100)).replace(" \n", " /lib/a b\n", 1)
    first = held(text + smaps((0x2000, 0x9000, 30, 30)), ranges)
    second = held(text.replace("100", " 60") + smaps((0x2000, 0x9000, 40, 40)), ranges)
    assert first.files == {"/lib/a b": 100 * 1024}
    assert together([first, second]) == (100 + 30 + 40) * 1024
    assert together([first]) == first.rss


def test_a_program_that_lies_elsewhere_is_an_error() -> None:
    with pytest.raises(ToolError, match="does not map the program"):
        held(smaps((0x5400000, 0x5600000, 1, 1)), [(0x400000, 0x600000)])
    with pytest.raises(ToolError, match="wrote down no memory map"):
        guest_ranges("")


def test_this_process_is_all_its_own() -> None:
    """Not emulated, it sees the same as the host."""
    text = Path("/proc/self/maps").read_text()
    found = held(Path("/proc/self/smaps").read_text(), guest_ranges(f"1\n{text}")[1])
    assert found.rss > 10e6
    assert found.emulator < 0.2 * found.rss


def test_a_process_is_found_by_its_number_in_its_namespace(tmp_path: Path) -> None:
    for number, names, children in (
        (5, "5", "6"),
        (6, "6\t1", "8 9"),
        (8, "8\t7", ""),
        (9, "9", ""),
    ):
        task = tmp_path / str(number) / "task" / str(number)
        task.mkdir(parents=True)
        (task / "children").write_text(children)
        (tmp_path / str(number) / "status").write_text(f"Name:\tx\nNSpid:\t{names}\n")
    assert process_of(7, 5, tmp_path) == 8
    for stranger in (9, 5):  # in no namespace of its own
        with pytest.raises(ToolError, match="not among"):
            process_of(stranger, 5, tmp_path)


@pytest.mark.slow
def test_the_guest_writes_its_map_down_while_a_verb_runs(tmp_path: Path) -> None:
    file = tmp_path / "maps"
    script = (
        "import time, agent.cli, tools.arm64.guest as guest\n"
        "guest.EVERY = 0.01\n"
        "def verb(words):\n"
        "    assert words == ['uplink', '--config', 'x']\n"
        f"    while not __import__('os').path.exists({str(file)!r}): time.sleep(0.01)\n"
        "    return 3\n"
        "agent.cli.main = verb\n"
        f"raise SystemExit(guest.main(['watched', {str(file)!r}, 'uplink', '--config', 'x']))\n"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 3
    number, ranges = guest_ranges(file.read_text())
    assert number > 0
    assert len(ranges) > 10
