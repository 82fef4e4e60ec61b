"""What each process tries at its start: all open outside a sandbox, all refused inside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from agent.base.report.device import PerceiveOpening, UplinkOpening
from agent.host.sandbox import refusals, seccomp
from agent.host.sandbox.kernel import processor
from tests.host.sandbox.conftest import ROOT, Inside
from tests.host.sandbox.test_egress import group  # noqa: F401
from tests.host.sandbox.test_enter import abi

needs_both = pytest.mark.skipif(
    not seccomp.known(processor()) or abi() < 6, reason="this kernel lacks a layer"
)


def test_the_names_are_those_of_the_messages() -> None:
    perceive = refusals.of_perceive([])
    uplink = refusals.of_uplink([], [], 1883, filtered=False)
    assert set(perceive) == set(get_args(PerceiveOpening))
    assert set(uplink) == set(get_args(UplinkOpening))
    assert set(refusals.WORDS) == {*perceive, *uplink}


def test_outside_a_sandbox_everything_is_found_open_and_left_as_it_was(inside: Inside) -> None:
    found = inside(
        "from agent.host.sandbox import refusals\n"
        "def state():\n"
        "    return [sorted(map(str, Path('/tmp').glob('.fleeting-*'))), kernel.LIBC.prctl(3),\n"
        "        sorted(os.listdir('/dev/shm')), len(os.listdir('/proc/self/fd')),\n"
        "        open('/proc/sysvipc/shm').read(), open('/proc/sysvipc/msg').read()]\n"
        "before = state()\n"
        "perceive = refusals.perceive_openings([])\n"
        "uplink = refusals.uplink_openings([], [Path('/dev/null')], 1883, filtered=False)\n"
        "emit(perceive=perceive, uplink=uplink, same=state() == before)"
    )
    assert tuple(found["perceive"]) == get_args(PerceiveOpening)
    assert tuple(found["uplink"]) == get_args(UplinkOpening)
    assert found["same"]


@needs_both
def test_inside_everything_is_refused_but_an_address_without_a_packet_filter(
    inside: Inside,
) -> None:
    found = inside("emit(open=enter_perceive([own]).found_open)")
    assert found["open"] == []
    found = inside(
        "free = not probe.no_datagram_elsewhere()\n"
        "emit(open=enter_uplink([], [own], 9).found_open, free=free)"
    )
    assert found["open"] == ["address"] * found["free"]


ALLOW = """
from agent.host.sandbox import _bpf
before, more = _bpf.assemble, {{"{}": _bpf.ALLOW}}
_bpf.assemble = lambda machine, rules: before(machine, {{**rules, **more}})
"""


@needs_both
@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("sendto", "unix"),
        ("sendmsg", "unix"),
        ("recvmsg", "descriptor"),
        ("recvmmsg", "descriptor"),
        ("pidfd_getfd", "descriptor"),
        ("setxattr", "attributes"),
        ("fsetxattr", "attributes"),
        ("utimensat", "attributes"),
        ("fchmodat", "attributes"),
        ("fchownat", "attributes"),
        ("shmget", "ipc"),
        ("msgget", "ipc"),
        ("semget", "ipc"),
        ("mq_open", "ipc"),
        ("execve", "exec"),
        ("execveat", "exec"),
        ("prctl", "dumpable"),
        ("socket", "inet"),
    ],
)
def test_one_call_that_is_allowed_by_mistake_is_found(call: str, name: str, inside: Inside) -> None:
    """The real filter, with one rule too many."""
    found = inside(ALLOW.format(call) + "emit(open=enter_perceive([own]).found_open)")
    assert name in found["open"]


@needs_both
@pytest.mark.parametrize("call", ["bind", "listen", "accept", "accept4"])
@pytest.mark.parametrize("enter", ["enter_perceive([own])", "enter_uplink([], [own], 1883)"])
def test_one_way_to_serve_somebody_is_found(enter: str, call: str, inside: Inside) -> None:
    found = inside(ALLOW.format(call) + f"emit(open={enter}.found_open)")
    assert "listen" in found["open"]


@needs_both
@pytest.mark.parametrize("half", ["perceive", "uplink"])
def test_without_landlock_files_and_signals_are_found_open(half: str, inside: Inside) -> None:
    enter = "enter_perceive([own])" if half == "perceive" else "enter_uplink([], [own], 1883)"
    found = inside(
        "def none(*_):\n    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))\n"
        f"landlock.syscall = none\nemit(open={enter}.found_open)"
    )
    assert "file" in found["open"]
    assert ("port" in found["open"]) == (half == "uplink")


def test_an_attempt_that_fails_in_its_own_way_counts_as_open() -> None:
    def broken() -> bool:
        raise RuntimeError

    assert refusals.openings({"a": broken, "b": lambda: False, "c": lambda: True}) == ["a", "c"]


def test_shared_memory_of_others_is_opened_and_not_changed(tmp_path: Path) -> None:
    assert not refusals._can_write(tmp_path / "absent")
    (tmp_path / "theirs").write_text("kept")
    assert refusals._can_write(tmp_path / "theirs")
    assert refusals._shared_memory(tmp_path)
    assert (tmp_path / "theirs").read_text() == "kept"
    assert [each.name for each in tmp_path.iterdir()] == ["theirs"]


def command(*arguments: str, join: Path | None = None) -> tuple[int, str]:
    argv = [sys.executable, "-m", "agent.host.sandbox", *arguments]
    if join is not None:
        argv = ["/bin/sh", "-c", f'echo $$ > {join}/cgroup.procs && exec "$@"', "sh", *argv]
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT
    )  # fmt: skip
    return done.returncode, done.stdout


@needs_both
@pytest.mark.slow
def test_the_command_tries_one_half_or_both() -> None:
    code, text = command("perceive", "--json")
    found: dict[str, Any] = json.loads(text)
    assert code == 0
    assert (found["half"], found["cage"]["found_open"]) == ("perceive", [])
    code, text = command("--json")
    halves = json.loads(text)
    assert [each["half"] for each in halves] == ["perceive", "camera", "uplink"]
    assert halves[1]["cage"]["found_open"] == []
    assert code == int(any(each["cage"]["found_open"] for each in halves))
    code, text = command("perceive")
    assert code == 0
    assert len(text.splitlines()) == 2 + len(get_args(PerceiveOpening))
    assert "OPEN" not in text
    assert all(words in text for words in (refusals.WORDS["unix"], "expected", "refused"))


@needs_both
@pytest.mark.slow
def test_with_a_packet_filter_all_is_closed_and_the_command_says_so(
    group: Path,  # noqa: F811
) -> None:
    code, text = command(join=group)
    assert "OPEN" not in text
    assert code == 0


def test_a_half_that_cannot_be_tried_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.host.sandbox import __main__ as module

    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert module.main([]) == 2
    monkeypatch.setattr(sys, "executable", os.devnull)
    assert module.main([]) == 2
