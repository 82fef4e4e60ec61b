"""Steps: both processes at work, with Debian's Mosquitto of the same root: what arrives, how much
memory they hold, which system calls they make."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tools.arm64 import memory
from tools.arm64.syscalls import WITHOUT, Comparison, compare_log
from tools.arm64.table import Row
from tools.arm64.trial import FLEETING, HOME, LEFT, PYTHON, Trial, row
from tools.common.mosquitto import free_port

HALVES = ("perceive", "uplink")
CLIP = f"{HOME}/agent/base/assets/clip.mp4"
MINUTE = 60.0
_START = 1800.0
"""Seconds that emulated processes have to start, and to compile what is not compiled yet."""
MOST = 200e6
"""Bytes that both processes may hold together."""
_ENOUGH = 3
"""Summaries that have to arrive."""


def run(trial: Trial) -> Iterator[Row]:
    """`fleeting run` with the bundled clip in a loop, for a minute from the first message on."""
    yield from _broker(trial)
    started = time.monotonic()
    port = _settings(trial)
    trial.say("fleeting run")
    with trial.root.process(["/bin/sh", "-c", _SCRIPT.format(
        port=port, left=LEFT, command=f"{FLEETING} run --config /{LEFT}/fleeting.toml"
    )]):  # fmt: skip
        _wait(lambda: _messages(trial)["summary"] >= 1, _START)
        until = time.monotonic() + MINUTE
        _wait(lambda: time.monotonic() > until, 2 * MINUTE)
        _wait(lambda: _messages(trial)["summary"] >= _ENOUGH, MINUTE)
    found = _messages(trial)
    note = ", ".join(f"{number} {kind}" for kind, number in sorted(found.items()))
    words = (trial.place / "run.log").read_text(errors="replace").splitlines()
    bad = [line for line in words if "ended (" in line or "Traceback" in line]
    good = found["summary"] >= _ENOUGH and not bad
    yield Row(
        "`fleeting run`, a minute, Debian's Mosquitto",
        "passed" if good else "failed",
        time.monotonic() - started,
        f"arrived: {note or 'nothing'}" + (f"; {bad[0][:200]}" if bad else ""),
    )


def processes(trial: Trial) -> Iterator[Row]:
    """Memory of both processes while they play the clip; system calls of both, and of the one that
    looks names up, against the filters. The thread that writes the memory map down is among them.
    """
    started = time.monotonic()
    port = _settings(trial)
    trial.say("both processes, watched (long)")
    for old in trial.place.glob("calls-*"):
        old.unlink()
    words = [
        f"QEMU_STRACE=1 QEMU_LOG_FILENAME=/{LEFT}/calls-{name}-%d {PYTHON} -P -m tools.arm64.guest "
        f"watched /{LEFT}/{name}.maps {name} --config /{LEFT}/fleeting.toml 2>>/{LEFT}/run.log"
        for name in HALVES
    ]
    script = _SCRIPT.format(port=port, left=LEFT, command=f"cd {HOME}; {words[0]} & {words[1]}")
    found: dict[str, memory.Held] = {}
    with trial.root.process(["/bin/sh", "-c", script]) as process:
        _wait(lambda: _messages(trial)["summary"] >= _ENOUGH, _START)
        for name in HALVES:
            number, ranges = memory.guest_ranges((trial.place / f"{name}.maps").read_text())
            here = memory.process_of(number, process.pid)
            found[name] = memory.held(Path(f"/proc/{here}/smaps").read_text(), ranges)
    yield from _memory(found, _messages(trial)["summary"], time.monotonic() - started)
    logs = {name: _log(trial, name) for name in HALVES}
    logs["resolver"] = _look_up(trial)
    yield from _calls([compare_log(name, log) for name, log in logs.items()])


def _look_up(trial: Trial) -> str:
    """The calls of the process that looks names up, asked once: it is given no environment that
    could be recorded as part of the uplink."""
    # by a pipe: it may not write files, and its emulator would not, either
    trial.run(
        "a name is looked up",
        f"(printf '\\001'; sleep 20) | PYTHONPATH={HOME} QEMU_STRACE=1 "
        f"{PYTHON} -S -P -m agent.uplink.resolver localhost 2>&1 >/dev/null | "
        f"cat >/{LEFT}/calls-resolver",
        timeout=300,
    )
    return (trial.place / "calls-resolver").read_text(errors="replace")


def _memory(found: dict[str, memory.Held], summaries: int, seconds: float) -> Iterator[Row]:
    for name, each in found.items():
        yield Row(
            f"memory of {name}", "passed", 0,
            f"RSS {memory.megabytes(each.rss)}, PSS {memory.megabytes(each.pss)}; QEMU's own "
            f"{memory.megabytes(each.emulator)} left out",
        )  # fmt: skip
    both = memory.together(found.values())
    rss = sum(each.rss for each in found.values())
    yield Row(
        "both hold at most 200 MB",
        "passed" if both <= MOST and summaries >= _ENOUGH else "failed",
        round(seconds, 1),
        f"{memory.megabytes(both)}, pages of files that both map counted once (sum of RSS "
        f"{memory.megabytes(rss)}); after {summaries} summaries",
    )


def _log(trial: Trial, name: str) -> str:
    """The log of the process itself: of those that it starts as programs each has its own."""
    number = (trial.place / f"{name}.maps").read_text().partition("\n")[0]
    return (trial.place / f"calls-{name}-{number}").read_text(errors="replace")


def _calls(found: list[Comparison]) -> Iterator[Row]:
    for each in found:
        yield Row(
            f"system calls of {each.process}",
            "failed" if each.unexpected or not each.calls else "passed",
            0,
            _said(each) if each.calls else "it installed no filter",
        )
        yield Row(f"… allowed to {each.process}", "passed", 0, ", ".join(each.allowed))


def _said(found: Comparison) -> str:
    refused = ", ".join(
        each + (f" ({WITHOUT[name]})" if (name := each.partition("(")[0]) in WITHOUT else "")
        for each in found.refused
    )
    return (
        f"{found.calls} calls of {len(found.allowed) + len(found.unsure)} kinds after the filter; "
        f"refused: {refused or 'none'}"
        + (f"; by arguments not in the log: {', '.join(found.unsure)}" if found.unsure else "")
    )


_SCRIPT = """
mosquitto -c /{left}/mosquitto.conf >/{left}/mosquitto.log 2>&1 &
until mosquitto_sub -p {port} -t '$SYS/broker/version' -C 1 -W 20 >/dev/null 2>&1; do sleep 1; done
mosquitto_sub -p {port} -t 'fleeting/#' -F '%t' >>/{left}/messages 2>/dev/null &
sleep 2
{command} 2>>/{left}/run.log
sleep 3600
"""
"""What follows `sleep` keeps the namespace; the caller ends it."""


def _broker(trial: Trial) -> Iterator[Row]:
    line = "apt-get install -y -qq --no-install-recommends mosquitto mosquitto-clients"
    done = trial.run("mosquitto", line)
    yield row("`apt install mosquitto mosquitto-clients`", done)


def _settings(trial: Trial) -> int:
    """Write configurations with a free port, and remove what is left of an earlier run."""
    port = free_port()
    for name in ("messages", "run.log", "outbox/outbox.db"):
        for each in trial.place.glob(f"{name}*"):
            each.unlink()
    (trial.place / "mosquitto.conf").write_text(
        f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\n"
    )
    (trial.place / "fleeting.toml").write_text(
        f'[device]\nid = "trial"\n[source]\nkind = "file"\ntarget = "{CLIP}"\nloop = true\n'
        f'[privacy]\npolicy = "demo"\nwindow = 10\n[store]\noutbox = "/{LEFT}/outbox/outbox.db"\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\n'
    )
    return port


def _messages(trial: Trial) -> Counter[str]:
    """Messages that arrived, by the last level of their topic."""
    try:
        lines = (trial.place / "messages").read_text().splitlines()
    except OSError:
        return Counter()
    return Counter(line.split("/")[4] for line in lines if line.count("/") >= 4)


def _wait(ready: Callable[[], bool], seconds: float) -> None:
    """Until `ready` says so, or for so many seconds."""
    until = time.monotonic() + seconds
    while not ready() and time.monotonic() < until:
        time.sleep(0.5)
