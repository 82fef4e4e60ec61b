"""What the booted trial reads in the journal and in pip settings, and its table. Nothing boots."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.common.errors import ToolError
from tools.robustness.booted import box, cli, journal, root, trials
from tools.robustness.booted.journal import Allowed, Entry


def line(message: object, at: float = 1.0, **fields: str) -> str:
    stamp = str(int(at * 1e6))
    return json.dumps({"__REALTIME_TIMESTAMP": stamp, "MESSAGE": message, **fields})


def entry(text: str, *, at: float = 0.0, by: str = "systemd", priority: int = 6) -> Entry:
    return Entry(at, "fleeting-perceive.service", by, priority, text)


def test_lines_of_our_units_and_about_them_are_kept() -> None:
    text = "\n".join((
        line("Warm.", 2.5, _SYSTEMD_UNIT="fleeting-perceive.service", _COMM="python"),
        line("Started.", UNIT="fleeting.target", _SYSTEMD_UNIT="init.scope",
             SYSLOG_IDENTIFIER="systemd", PRIORITY="4"),
        line("/etc/systemd/system/fleeting-uplink.service:12: Unknown key name 'X', ignoring.",
             SYSLOG_IDENTIFIER="systemd", PRIORITY="4"),
        line([104, 255, 105], _SYSTEMD_UNIT="fleeting-uplink.service"),
        line("Other.", _SYSTEMD_UNIT="ssh.service"),
        line("speaks of fleeting.target", _SYSTEMD_UNIT="ssh.service", SYSLOG_IDENTIFIER="sshd"),
        "no JSON", "[1]",
    ))  # fmt: skip
    found = list(journal.entries(text))
    assert [(each.unit, each.by, each.priority) for each in found] == [
        ("fleeting-perceive.service", "python", 6),
        ("fleeting.target", "systemd", 4),
        ("fleeting-uplink.service", "systemd", 4),
        ("fleeting-uplink.service", "", 6),
    ]
    assert found[0].time == 2.5
    assert found[3].text == "h�i"
    assert journal.remarks(found) == [f"fleeting-uplink.service: {found[2].text}"]


def test_what_no_fault_excuses_is_found() -> None:
    bad = [
        entry("Traceback (most recent call last):", by="python"),
        entry("Main process exited, code=killed, status=31/SYS"),
        entry("perceive failed (KeyError: 3). Report it.", by="python"),
    ]
    assert len(journal.broken([entry("Warm after 17 s.", by="python"), *bad])) == len(bad)


def test_each_warning_needs_a_reason() -> None:
    found = [
        entry("Watchdog timeout (limit 20s)!", priority=3),
        entry("Failed with result 'watchdog'.", priority=4),
        entry("Failed with result 'timeout'.", priority=4),
        entry("Failed with result 'timeout'.", priority=4),
        entry("Consumed 2s CPU time.", priority=6),
    ]
    assert journal.unexpected(found, trials.ALLOWED) == [
        "2 x fleeting-perceive.service: Failed with result 'timeout'."
    ]
    assert len(journal.unexpected(found, ())) == 3
    assert journal.unexpected(found, [Allowed("result|Watchdog", "all")]) == []


def test_the_kernel_log_of_the_run_is_searched() -> None:
    text = "\n".join((
        "[   10.000001] audit: type=1326 audit(1.0:1): comm=\"old\"",
        "[  100.500000] EXT4-fs (loop0): unmounting filesystem.",
        "[  101.000000] audit: type=1326 audit(1.0:2): comm=\"python\" syscall=41",
        "[  102.000000] python[7]: segfault at 0 ip 0",
        "[  103.000000] traps: python[70] trap invalid opcode ip:0",
        "[  104.000000] audit: type=1326 audit(1.0:3): uid=0 pid=70 comm=\"python\" syscall=42",
    ))  # fmt: skip
    found = journal.kernel(text, 50.0, {7})
    assert len(found) == 2
    assert "syscall=41" in found[0], "which process it was is not said"
    assert "segfault" in found[1]
    assert len(journal.kernel(text, 50.0, {7, 70})) == 4


def test_the_busiest_minute_is_found() -> None:
    times = (0.0, 50.0, 100.0, 101.0, 102.0, 161.5, 400.0)
    found = [entry("x", at=each) for each in times]
    assert journal.a_minute(found, "fleeting-perceive.service") == 4
    assert journal.a_minute(found, "fleeting-uplink.service") == 0


class Journal:
    """A container with one line in its journal, and journalctl's whole seconds."""

    def __init__(self, folder: Path, at: float) -> None:
        self.root, self._at = folder, at
        for each in ("opt", "etc/mosquitto/conf.d"):
            (folder / each).mkdir(parents=True)

    def sure(self, *words: str) -> str:
        if words[0] != "journalctl":
            return ""
        since = next(each for each in words if each.startswith("--since=@"))
        asked = int(since.removeprefix("--since=@"))
        return (
            line("Refused.", self._at, UNIT="fleeting-reboot.service") if self._at >= asked else ""
        )


def test_no_line_is_lost_to_whole_seconds(tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.touch()
    tried = box.Box(Journal(tmp_path / "root", 100.75), library)  # type: ignore[arg-type]
    assert [each.text for each in tried.journal(100.625)] == ["Refused."]
    assert tried.journal(100.875) == []


def test_what_arrived_is_read_where_the_listener_writes_it(tmp_path: Path) -> None:
    library, place = tmp_path / "library", tmp_path / "root"
    library.touch()
    tried = box.Box(Journal(place, 0.0), library)  # type: ignore[arg-type]
    (place / "etc/systemd/system").mkdir(parents=True)
    assert tried.summaries() == []
    tried.listen()
    unit = (place / "etc/systemd/system" / box.LISTENER).read_text()
    written = re.search(r"^StandardOutput=append:/(.+)$", unit, re.MULTILINE)
    assert written is not None
    assert "%%U %%t %%p" in unit, "a lone % is systemd's own"
    (place / written[1]).parent.mkdir(parents=True)
    (place / written[1]).write_bytes(
        b'7.5 fleeting/a/summary {"boot": "b"}\n8 fleeting/a/meta {}\n9 fleeting/a/summary {"half'
    )
    assert tried.summaries() == [(7.5, b'{"boot": "b"}')]


def test_a_disk_is_mended_once_nothing_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    held = ["/dev/loop0", "/dev/loop0", ""]

    def run(*words: str) -> str:
        done.append(words[0])
        return held.pop(0) if words[0] == "losetup" else ""

    def mend(words: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        done.append(words[0])
        return subprocess.CompletedProcess(words, 1)

    disk = box.Disk(tmp_path, tmp_path / "root", run)
    monkeypatch.setattr(subprocess, "run", mend)
    done.clear()
    disk.check()
    assert done == ["umount", "losetup", "losetup", "losetup", "e2fsck", "mount"]
    monkeypatch.setattr(box, "_RELEASED", 0.0)
    held.extend(["/dev/loop0", "/dev/loop0"])
    with pytest.raises(ToolError, match="still mounted"):
        disk.check()


_MOUNTS = """
import sys
from tools.common.errors import ToolError
from tools.robustness.booted import root
try:
    root.apart()
except ToolError:
    print("refused", flush=True)
    sys.exit()
root.run("mount", "-t", "tmpfs", "none", sys.argv[1])
print(sys.argv[1] in open("/proc/self/mountinfo").read(), flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_what_the_trial_mounts_is_its_own(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _MOUNTS, str(tmp_path)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        said = child.stdout.readline().strip()
        if said == "refused":
            pytest.skip("this root may have no mounts of its own")
        seen = str(tmp_path) in Path("/proc/self/mountinfo").read_text()
        child.communicate()
    assert (said, seen) == ("True", False)


def test_pip_settings_are_borrowed_and_local_places_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "/some/wheels")
    settings = root.pip_settings()
    assert settings["PIP_FIND_LINKS"] == "/some/wheels"
    places = root.local_places({"A": "file:///mirror/simple https://there.example/simple",
                                "B": "/a/constraints.txt", "C": "180"})  # fmt: skip
    assert places == ["/a/constraints.txt", "/mirror"]


def test_a_machine_that_cannot_boot_one_is_told_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ToolError, match="sudo"):
        root.check_machine()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(root, "PROGRAMS", {"no-such-program": "its-package"})
    with pytest.raises(ToolError, match="apt-get install its-package"):
        root.check_machine()


def test_a_root_is_used_by_one_run_at_a_time(tmp_path: Path) -> None:
    held = root._alone(tmp_path)
    with pytest.raises(ToolError, match="Another run"):
        root._alone(tmp_path)
    os.close(held)
    os.close(root._alone(tmp_path))


def test_the_table_names_what_failed() -> None:
    rows = [
        {"what": "kill -9 of perceive", "seconds": 12.34, "seen": "restarted", "passed": True},
        {"what": "disk full", "seconds": None, "seen": "3 lost", "passed": False},
    ]
    report = {
        "machine": {"name": "A", "cores": 2, "system": "Linux", "load": 0.0}, "seconds": 600,
        "suite": "bookworm", "rows": rows, "security": {"fleeting-uplink": 1.1},
        "allowed": {"a process that was killed": 4}, "passed": False,
    }  # fmt: skip
    lines = cli.text(report).splitlines()
    assert "1 of 2 passed in 10 minutes" in lines[1]
    assert any(each.endswith("12.3  restarted") for each in lines)
    assert any(each.endswith("-  FAILED: 3 lost") for each in lines)
    assert any("fleeting-uplink 1.1" in each for each in lines)
    assert any("4 x a process that was killed" in each for each in lines)
    assert lines[-1] == "FAILED"


def test_the_arguments() -> None:
    parser = argparse.ArgumentParser()
    cli.add(parser.add_subparsers(), argparse.ArgumentParser(add_help=False))
    args = parser.parse_args(["booted", "--root", "/x", "--only", "full", "reboot"])
    assert args.root == Path("/x")
    assert args.only == ["full", "reboot"]
    with pytest.raises(SystemExit):
        parser.parse_args(["booted", "--only", "nothing"])
