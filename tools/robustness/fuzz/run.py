"""Fuzzing of the handler of inbound messages: nothing may raise, change state or grow.

Each message is judged by `oracle` before and after: the settings file's bytes, the settings in
force, the answer, the count of refusals. Memory is compared between a fifth of the way and the end.
"""

from __future__ import annotations

import os
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.base.config import AgentConfig
from agent.base.report import Response
from agent.base.report.device import Command
from agent.base.settings_file import parse
from agent.uplink.inbound import EventCounter, Inbound
from agent.uplink.jobs import Jobs
from agent.uplink.settings import RemoteControl
from agent.uplink.topics import Topics
from agent.uplink.traffic import Message
from agent.uplink.warden.warden import Warden
from agent.wall.outbox import Outbox
from agent.wall.remote_settings import read
from tools.robustness.fuzz.cases import DEVICE, GROUP, Case, Cases
from tools.robustness.fuzz.oracle import may_change, problem

MOST_TRACED = 200_000
"""Bytes that Python's allocations may grow by; the counters themselves take some."""
MOST_RESIDENT = 8_000_000
"""Bytes that the process may grow by; allocators keep what they once had."""
_FLUSH = 1000
"""Messages from one writing of the counted events to the next."""
_BURST = 300
"""Messages of a flood: no time passes between them."""
_MOST_PROBLEMS = 10


@dataclass(slots=True)
class _Run:
    """Counts and findings so far."""

    problems: list[str] = field(default_factory=list)
    flavours: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    changes: int = 0
    memory: list[tuple[int, int]] = field(default_factory=list)
    """(traced, resident) bytes."""


class _Time:
    """A clock that the test winds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def configuration(folder: Path, **mqtt: Any) -> AgentConfig:
    """A shop in the EU, in a group, announced to Home Assistant."""
    return parse(
        {
            "device": {"id": DEVICE, "group": GROUP},
            "store": {"outbox": str(folder / "outbox" / "outbox.db")},
            "mqtt": {"discovery": True, **mqtt},
        },
        "fuzz",
    )


def run(messages: int, seed: int, tick: Callable[[int], None] = lambda _: None) -> dict[str, Any]:
    """The report; `problems` is empty where all held. `tick` hears of every thousandth message."""
    found = _Run()
    began = time.monotonic()
    # Not the disk is tested here, so memory will do.
    fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=fast) as name:
        config = configuration(Path(name))
        with Outbox(config.store) as outbox:
            refusals, events = _all(config, outbox, messages, seed, found, tick)
    traced, resident = _growth(found.memory)
    if traced > MOST_TRACED or resident > MOST_RESIDENT:
        found.problems.append(f"memory grew: {traced} bytes traced, {resident} resident")
    return {
        "messages": messages,
        "seed": seed,
        "seconds": time.monotonic() - began,
        "flavours": dict(found.flavours.most_common()),
        "refused": dict(refusals),
        "answers": dict(found.answers.most_common()),
        "changes": found.changes,
        "events": events,
        "traced_growth": traced,
        "resident_growth": resident,
        "problems": found.problems[:_MOST_PROBLEMS],
    }


def _all(
    config: AgentConfig,
    outbox: Outbox,
    messages: int,
    seed: int,
    found: _Run,
    tick: Callable[[int], None],
) -> tuple[Counter[Any], int]:
    """Counted refusals, and events in the outbox at the end."""
    clock, tally = _Time(), EventCounter()
    control = RemoteControl(config, tally)
    own = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    jobs = Jobs(config.update, Warden(config, own, tally), outbox, clock=clock)
    inbound = Inbound(Topics(config), control, tally, jobs.receive, clock)
    cases = Cases(seed, lambda: (control.settings.version, control.settings.defaults_version))
    tracemalloc.start()
    try:
        for number in range(messages):
            flood = number % 10_000 < _BURST
            clock.now += 0.0 if flood else 2.5
            one(config, control, inbound, tally, cases.draw(), found, flood)
            if number % _FLUSH == 0:
                tally.flush(outbox, clock.now + number)
                tick(number)
            if number in (messages // 5, messages - 1):
                found.memory.append((tracemalloc.get_traced_memory()[0], resident(os.getpid())))
            if len(found.problems) >= _MOST_PROBLEMS:
                break
    finally:
        tracemalloc.stop()
    rows = outbox.peek(1000)
    if any(row.kind != "event" for row in rows):
        found.problems.append("something else than an event is in the outbox")
    return tally.total, len(rows)


def one(
    config: AgentConfig,
    control: RemoteControl,
    inbound: Inbound,
    tally: EventCounter,
    case: Case,
    found: _Run,
    flood: bool,
) -> None:
    """Handle one message and judge what became of it."""
    before, file, counted = control.settings, _bytes(config), tally.total.total()
    may = may_change(case, before)
    found.flavours[case.flavour] += 1

    def wrong(what: str) -> None:
        found.problems.append(f"{case.flavour}, {case.topic!r}, {case.payload[:80]!r}: {what}")

    try:
        handled = inbound(Message(case.topic, case.payload, case.retain, case.correlation))
    except Exception as error:
        wrong(f"raised {type(error).__name__}: {error}")
        return
    after = control.settings
    if after is before and _bytes(config) != file:
        wrong("the file changed and the settings did not")
    elif after is not before:
        found.changes += 1
        said = problem(config, before, after, may)
        if said or read(config.store.settings) != after:
            wrong(said or "the file is not what is in force")
    refused = tally.total.total() > counted
    if (case.refused or (handled.rate_limited and flood)) and not refused:
        wrong("was not counted as refused")
    if case.taken and not flood and after is before:
        wrong("a valid desired state had no effect")
    reply = handled.reply
    if reply is not None:
        found.answers[reply.answer] += 1
        if reply.command not in (*get_args(Command), "other"):
            wrong(f"answered to {reply.command!r}")
        if reply.correlation != case.correlation:
            wrong("answered with other correlation data")
        Response.model_validate({"command": reply.command, "answer": reply.answer, "boot": None})


def _bytes(config: AgentConfig) -> bytes:
    try:
        return config.store.settings.read_bytes()
    except FileNotFoundError:
        return b""


def _growth(memory: list[tuple[int, int]]) -> tuple[int, int]:
    if len(memory) < 2:
        return 0, 0
    (traced, resident), (traced_end, resident_end) = memory[0], memory[-1]
    return traced_end - traced, resident_end - resident


def resident(pid: int) -> int:
    """Bytes of memory that a process holds (proc_pid_statm(5))."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
