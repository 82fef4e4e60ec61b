"""kill -9 at random instants across both processes while summaries flow to a real Mosquitto.

The processes are the commands of the product, on the bundled clip without end. After every kill
they are started again at once; the broker is now and then stopped and started. In between and at
the end the outbox is compared with what a reader received: every released (boot, seq) arrives, byte
for byte, and ledger and records agree.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agent.base.assets import CLIP
from agent.base.config import AgentConfig
from agent.base.settings_file import as_toml, parse
from tools.common.agent_process import AgentProcess
from tools.common.errors import ToolError
from tools.common.files import save_json
from tools.common.machine import machine
from tools.common.mosquitto import Mosquitto, program
from tools.robustness.crash.check import Stored, aside, judge, read
from tools.robustness.crash.reader import Reader

DEVICE = "crash"
_LIVES = 3.5
"""How long a process lives, at most, in multiples of the time from its start to its first summary;
drawn uniformly, so that start-up is hit as well as work."""
_QUICKEST = 5.0
"""Seconds that a process may live on any machine."""
_BOTH = 0.1
"""Share of kills that take both at once."""
_AIMED = 0.25
"""Share of kills that wait for the journal to grow: the instant when something is being written."""
_AIM_WITHIN = 2.0
_BROKER_STOPS = 1 / 15
_BROKER_AWAY = 3.0
"""Seconds, at most."""
_LOOK_EVERY = 10
"""Cycles from one look at the invariants to the next."""
_TICK = 0.05
_ARRIVAL = 30.0
"""Seconds that what left the outbox may take to the reader while the broker runs."""
_DRAIN = 180.0
"""Seconds that everything may take at the end."""
_WARM_UP = 600.0
"""Seconds to the first summary: on a cold cache Numba compiles first."""

Progress = Callable[[int, str], None]
"""Told the cycles done and a word on them."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a run."""

    cycles: int = 1000
    seed: int | None = None
    """Null: drawn, and reported."""
    keep: Path | None = None
    """Folder for the evidence; null: kept only where something was violated."""


@dataclass(slots=True)
class _Tally:
    """Counts and findings of a run."""

    cycles: int = 0
    kills: dict[str, int] = field(default_factory=lambda: {"perceive": 0, "uplink": 0, "both": 0})
    aimed: int = 0
    broker_stops: int = 0
    first_summary: dict[str, float] = field(default_factory=dict)
    """Seconds from a process's start to the arrival of a summary, while the other works."""
    looks: int = 0
    violations: list[str] = field(default_factory=list)


def run(
    options: Options, progress: Progress = lambda done, word: None
) -> tuple[dict[str, Any], Path | None]:
    """The whole test: its report, in which `passed` says whether nothing was violated, and where
    the evidence is, if it was kept.

    Raises `ToolError` where it cannot be carried out at all.
    """
    program()
    seed = random.SystemRandom().getrandbits(32) if options.seed is None else options.seed
    folder = _folder(options.keep)
    begun = time.monotonic()
    place = machine()
    campaign = _Campaign(folder, random.Random(seed))
    try:
        with campaign:
            campaign.warm_up()
            started = time.monotonic()
            for cycle in range(1, options.cycles + 1):
                campaign.cycle()
                progress(cycle, campaign.word)
                if cycle % _LOOK_EVERY == 0:
                    campaign.look()
                if campaign.tally.violations:
                    break
            seconds = time.monotonic() - started
            final = campaign.drain()
    except ToolError as error:
        raise ToolError(f"{error} The evidence is in {folder}.") from None
    except KeyboardInterrupt:
        if options.keep is None:
            shutil.rmtree(folder)
        raise
    report = {
        "what": "crash",
        "machine": place,
        "seed": seed,
        **asdict(campaign.tally),
        **campaign.counts(final),
        "seconds": round(seconds, 1),
        "seconds_in_all": round(time.monotonic() - begun, 1),
        "passed": not campaign.tally.violations,
    }
    if options.keep is None and report["passed"]:
        shutil.rmtree(folder)
        return report, None
    save_json(folder / "report.json", report)
    return report, folder


def configuration(folder: Path, port: int) -> AgentConfig:
    """The demo profile on the bundled clip, again and again as fast as possible."""
    return parse(
        {
            "device": {"id": DEVICE},
            "source": {"kind": "file", "target": str(CLIP), "pace": "fast", "loop": True},
            # A short gap: summaries come soon after each start.
            "privacy": {
                "policy": "demo",
                "window": 10,
                "visit_gap": 2.0,
                "microphone": False,
                "words": False,
            },
            "store": {"outbox": str(folder / "outbox" / "outbox.db")},
            "mqtt": {"host": "127.0.0.1", "port": port, "backoff_max": 0.5},
        },
        "the crash test",
    )


class _Campaign:
    """The running processes and what has been found so far; a context manager that ends them."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.tally = _Tally()
        self._folder = folder
        self._chance = chance
        self._stack = ExitStack()
        store = folder / "mosquitto"
        store.mkdir()
        self._broker = Mosquitto(
            folder,
            "allow_anonymous true\nmax_queued_messages 0\npersistence true\n"
            f"persistence_location {store}/",
        )
        self._broker_back: float | None = None
        config = configuration(folder, self._broker.port)
        self._outbox = config.store.outbox
        settings = folder / "fleeting.toml"
        settings.write_text(as_toml(config), encoding="utf-8")
        self._agent = {n: AgentProcess(n, settings, folder) for n in ("perceive", "uplink")}
        self._lives = dict.fromkeys(("perceive", "uplink"), _QUICKEST)
        """Seconds, at most."""
        self._due: dict[str, float] = {}
        """When each process dies next, monotonic seconds."""
        self._reader: Reader | None = None
        self._last: Stored | None = None
        self._kills = (folder / "kills.jsonl").open("a", encoding="utf-8")

    @property
    def reader(self) -> Reader:
        assert self._reader is not None
        return self._reader

    @property
    def word(self) -> str:
        return f"{len(self.reader.arrived())} summaries arrived"

    def __enter__(self) -> _Campaign:
        self._stack.callback(self._kills.close)
        with self._stack:
            self._broker.start()
            self._stack.callback(self._broker.stop)
            journal = self._folder / "received.jsonl"
            self._reader = self._stack.enter_context(Reader(self._broker.port, DEVICE, journal))
            for name, process in self._agent.items():
                self._stack.callback(process.kill)
                self._start(name)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def warm_up(self) -> None:
        """Wait for the first summary, so that kernels are compiled and kept; then start each
        process again and time it. Raises `ToolError`."""
        for name in ("perceive", "perceive", "uplink"):
            self._agent[name].kill()
            self._agent[name].start()
            begun = time.monotonic()
            if not self._recovers(_WARM_UP):
                what = [*self.tally.violations, f"no summary arrived within {_WARM_UP:.0f} s"][0]
                raise ToolError(f"The agent does not work here: {what}.")
            self.tally.first_summary[name] = round(time.monotonic() - begun, 2)
        for name, seconds in self.tally.first_summary.items():
            self._lives[name] = max(_QUICKEST, _LIVES * seconds)
            self._plan(name)

    def cycle(self) -> None:
        """Wait until a process is due, kill it, now and then both, and start them again."""
        name = min(self._due, key=lambda each: self._due[each])
        until = self._due[name]
        if self._broker_back is None and self._chance.random() < _BROKER_STOPS:
            now = time.monotonic()
            self._wait(now + self._chance.uniform(0.0, max(0.0, until - now)))
            self._broker.stop()
            self.tally.broker_stops += 1
            self._broker_back = time.monotonic() + self._chance.uniform(0.2, _BROKER_AWAY)
            self._note("broker")
        self._wait(until)
        if self._chance.random() < _AIMED and self._aim():
            self.tally.aimed += 1
        both = self._chance.random() < _BOTH
        names = list(self._agent) if both else [name]
        for each in names:
            self._agent[each].kill()
        self._note("both" if both else name)
        for each in names:
            self._start(each)
        self.tally.kills["both" if both else name] += 1
        self.tally.cycles += 1

    def look(self) -> None:
        """Check the invariants while everything goes on."""
        self.tally.looks += 1
        arrived = self.reader.arrived()
        if not self._outbox.exists():
            self.tally.violations.append("there is no outbox")
            return
        stored = read(self._outbox)
        verdict = judge(stored, arrived, self._last)
        self._last = stored
        self.tally.violations += verdict.violations
        if verdict.missing and self._broker_back is None:
            late = self.reader.wait_for(verdict.missing, _ARRIVAL)
            self.tally.violations += [
                f"summary {boot}/{seq} left the outbox and did not arrive within {_ARRIVAL:.0f} s"
                for boot, seq in sorted(late, key=lambda key: key[1])
            ]

    def drain(self) -> Stored:
        """See that summaries flow again, stop perceive as a service is stopped, let everything out,
        look for the last time."""
        found = self.tally.violations
        if not found and not self._recovers(_DRAIN):
            found.append(f"no new summary arrived within {_DRAIN:.0f} s of the last kill")
        if (code := self._agent["perceive"].stop()) != 0:
            found.append(f"perceive ended with code {code} when asked to stop")
        deadline = time.monotonic() + _DRAIN
        stored = read(self._outbox)
        while time.monotonic() < deadline:
            missing = judge(stored, self.reader.arrived()).missing
            if not stored.waiting and not self.reader.wait_for(missing, 5.0):
                break
            self._wait(time.monotonic() + 0.25)
            stored = read(self._outbox)
        if (code := self._agent["uplink"].stop()) != 0:
            found.append(f"uplink ended with code {code} when asked to stop")
        arrived = self.reader.arrived()
        stored = read(self._outbox)
        verdict = judge(stored, arrived, self._last)
        found += verdict.violations
        found += [f"summary {key[0]}/{key[1]} is lost" for key in sorted(verdict.missing)]
        if stored.waiting:
            found.append(f"{len(stored.waiting)} summaries still wait after {_DRAIN:.0f} s")
        found += [f"not a summary: {what}" for what in self.reader.unreadable()]
        found += [f"the agent moved {name} aside as damaged" for name in aside(self._outbox)]
        for process in self._agent.values():
            if "Traceback" in process.log.read_text(encoding="utf-8", errors="replace"):
                found.append(f"a traceback in {process.log.name}")
        return stored

    def counts(self, final: Stored) -> dict[str, Any]:
        """What was released and what became of it."""
        arrived = self.reader.arrived()
        verdict = judge(final, arrived)
        released = {key for key, _ in final.ledger}
        return {
            "starts": {name: process.starts for name, process in self._agent.items()},
            "boots": len({boot for boot, _ in released}),
            "released": len(released),
            "arrived": len(released & set(arrived)),
            "duplicates": sum(len(copies) - 1 for copies in arrived.values()),
            "lost": len(verdict.missing),
            "differing": verdict.differing,
        }

    def _start(self, name: str) -> None:
        self._agent[name].start()
        self._plan(name)

    def _plan(self, name: str) -> None:
        self._due[name] = time.monotonic() + self._chance.uniform(0.0, self._lives[name])

    def _wait(self, deadline: float) -> None:
        """Let time pass; start the broker when it is due, and a process that ended by itself."""
        while True:
            now = time.monotonic()
            if self._broker_back is not None and now >= self._broker_back:
                self._broker.start()
                self._broker_back = None
            for name, process in self._agent.items():
                if (code := process.ended()) is not None:
                    self.tally.violations.append(f"{name} ended by itself with code {code}")
                    self._start(name)
            if now >= deadline:
                return
            time.sleep(min(_TICK, deadline - now))

    def _recovers(self, within: float) -> bool:
        """Wait until something that was not yet released arrives; False when nothing does."""
        before = {key for key, _ in read(self._outbox).ledger} if self._outbox.exists() else set()
        deadline = time.monotonic() + within
        while not self.reader.arrived().keys() - before:
            if time.monotonic() > deadline or self.tally.violations:
                return False
            self._wait(time.monotonic() + 0.25)
        return True

    def _aim(self) -> bool:
        """Wait until the journal changes, then up to two milliseconds: a write goes on."""
        journal = self._outbox.with_name(self._outbox.name + "-wal")
        first = _stamp(journal)
        deadline = time.monotonic() + _AIM_WITHIN
        while time.monotonic() < deadline:
            if _stamp(journal) != first:
                time.sleep(self._chance.uniform(0.0, 0.002))
                return True
            time.sleep(0.001)
        return False

    def _note(self, what: str) -> None:
        self._kills.write(json.dumps({"time": time.time(), "stopped": what}) + "\n")
        self._kills.flush()


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="fleeting-crash-"))
    if keep.exists() and any(keep.iterdir()):
        raise ToolError(f"{keep} is not empty. Name a folder that is, or that does not exist.")
    keep.mkdir(parents=True, exist_ok=True)
    if not os.access(keep, os.W_OK):
        raise ToolError(f"{keep} cannot be written to. Name another folder.")
    return keep.resolve()
