"""Cuts the power again and again, and holds what is on the disk against what was said to be."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.base.errors import AgentError
from agent.base.files import read_regular_file
from agent.uplink.receipt.book import ReceiptBook
from agent.uplink.warden.state import load as load_warden
from agent.wall import remote_settings
from agent.wall.outbox import Outbox
from tools.common.files import in_memory, save_json
from tools.common.machine import machine
from tools.robustness.crash.check import Key, Stored, aside, judge, read
from tools.robustness.power.image import Image
from tools.robustness.power.writers import Writer, configuration, utc

_SIZE = 32 * 2**20
_RUN = 0.8
"""Seconds between two cuts, at most."""
_READY = 60.0
"""Seconds that a process has to start."""
_TEMPORARY = 4
"""Files that are being replaced at one instant, at most."""
Progress = Callable[[int, str], None]


@dataclass
class Said:
    """What the processes have reported, over all their lives."""

    added: set[Key] = field(default_factory=set)
    sent: dict[Key, list[str]] = field(default_factory=dict)
    signed: dict[int, str] = field(default_factory=dict)
    """Receipts that left: SHA-256 by number."""
    desired: int = 0
    """Newest version of the settings that was begun."""
    set: int = 0
    """Newest one that was in force."""
    events: Counter[str] = field(default_factory=Counter)

    def take(self, line: str) -> None:
        what, *rest = line.split()
        if what == "added":
            self.added.add((rest[0], int(rest[1])))
        elif what == "sent":
            self.sent.setdefault((rest[0], int(rest[1])), []).append(rest[2])
        elif what == "signed":
            self.signed[int(rest[0])] = rest[1]
        elif what == "desired":
            self.desired = int(rest[0])
        elif what == "set":
            self.set = int(rest[0])
        elif what == "event":
            self.events[rest[0]] = max(self.events[rest[0]], int(rest[1]))


def run(
    times: int,
    seed: int | None = None,
    keep: Path | None = None,
    progress: Progress = lambda done, word: None,
) -> tuple[dict[str, Any], Path | None]:
    """Cut the power `times` times; the report, in which `passed` is the verdict, and where the
    evidence is, if it was kept. Raises `ToolError`."""
    seed = random.SystemRandom().getrandbits(32) if seed is None else seed
    folder = keep or Path(tempfile.mkdtemp(prefix="fleeting-power-", dir=in_memory()))
    folder.mkdir(parents=True, exist_ok=True)
    place, begun = machine(), time.monotonic()
    with _Campaign(folder, random.Random(seed)) as campaign:
        while campaign.cuts < times and not campaign.found:
            campaign.cut()
            progress(campaign.cuts, f"{len(campaign.said.added)} summaries")
    said = campaign.said
    report = {
        "what": "power",
        "machine": place,
        "seed": seed,
        "cuts": campaign.cuts,
        "whole": campaign.cuts - bool(campaign.found),
        "within": dict(sorted(campaign.within.items())),
        "committed": len(said.added),
        "sent": len(said.sent),
        "sent_again": sum(len(each) - 1 for each in said.sent.values()),
        "lost": campaign.lost,
        "receipts": len(said.signed),
        "settings": said.set,
        "seconds": round(time.monotonic() - begun, 1),
        "violations": campaign.found,
        "passed": not campaign.found,
    }
    if keep is None and report["passed"]:
        shutil.rmtree(folder)
        return report, None
    save_json(folder / "report.json", report)
    return report, folder


class _Campaign:
    """A disk, its two writers, and the cuts so far; a context manager."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.said = Said()
        self.found: list[str] = []
        self.cuts = self.lost = 0
        self.within: Counter[str] = Counter()
        """Cuts by what was half done: the journal's state on the copied disk."""
        self._folder, self._chance = folder, chance
        self._stack = ExitStack()
        self._image = Image(folder, _SIZE)
        self._config = configuration(self._image.place)
        self._writers: list[Writer] = []
        self._last: Stored | None = None
        self._key: bytes | None = None

    def __enter__(self) -> _Campaign:
        self._stack.callback(self._image.close)
        (self._image.place / "outbox").mkdir()
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._writers:
            each.kill()
        self._stack.close()

    def cut(self) -> None:
        """Let them write, cut, start the machine from what is on the disk, and look."""
        self._listen(self._chance.uniform(0.0, _RUN))
        for each in self._writers:
            each.hold()
        self._listen(0.0)
        if self.found:
            return
        self._image.copy()
        for each in self._writers:
            each.kill()
        self._writers = []
        self._image.use_copy()
        self.cuts += 1
        self._count()
        self._examine()
        if not self.found:
            self._start()

    def _start(self) -> None:
        for role in ("perceive", "uplink"):
            seed = self._chance.getrandbits(32)
            log = self._folder / f"{role}.log"
            self._writers.append(Writer(role, self._image.place, log, seed))
        waiting = {each.role for each in self._writers}
        until = time.monotonic() + _READY
        while waiting and time.monotonic() < until and not self.found:
            waiting -= self._listen(0.0)
            time.sleep(0.005)
        if waiting and not self.found:
            self.found.append(f"{', '.join(sorted(waiting))} did not start")
        self._key = self._key or self._config.store.receipt_key.read_bytes()  # type: ignore[union-attr]

    def _listen(self, seconds: float) -> set[str]:
        """Take down what they say; who has become ready."""
        until, ready = time.monotonic() + seconds, set()
        while True:
            for each in self._writers:
                for line in each.said():
                    if line == "ready":
                        ready.add(each.role)
                    else:
                        self.said.take(line)
                if each.ended:
                    self.found.append(f"{each.role} ended by itself")
            left = until - time.monotonic()
            if left <= 0 or self.found:
                return ready
            time.sleep(min(left, 0.02))

    def _count(self) -> None:
        journal = Path(f"{self._config.store.outbox}-wal")
        pending = journal.exists() and journal.stat().st_size > 0
        temporary = len(list(self._image.place.rglob("*.tmp")))
        if temporary > _TEMPORARY:
            self.found.append(f"{temporary} files half replaced are left: they pile up")
        self.within["a file half replaced" if temporary else
                    "a journal to be replayed" if pending else "at rest"] += 1  # fmt: skip

    def _examine(self) -> None:
        """Every invariant, each as the agent itself would find it at its next start."""
        look: dict[str, Callable[[], None]] = {
            "outbox": self._outbox,
            "settings": self._settings,
            "receipts": self._receipts,
            "warden": self._warden,
        }
        for name, each in look.items():
            try:
                each()
            except (AgentError, OSError, ValueError) as error:
                self.found.append(f"{name}: {error}")
        faults = self._image.faults()
        if faults:
            self.found.append(f"file system: {faults}")
        for code in ("row_refused", "quota_exceeded", "settings_refused"):
            if self.said.events[code]:
                self.found.append(f"the uplink counted {code} {self.said.events[code]} times")
        for log in self._folder.glob("*.log"):
            if "Traceback" in log.read_text(errors="replace"):
                self.found.append(f"a traceback in {log.name}")
        self.found = [f"cut {self.cuts}: {each}" for each in self.found]

    def _outbox(self) -> None:
        with Outbox(self._config.store, utc=utc):
            pass
        self.found += [f"{name} was moved aside" for name in aside(self._config.store.outbox)]
        stored = read(self._config.store.outbox)
        verdict = judge(stored, self.said.sent, self._last)
        self.found += verdict.violations
        listed = {key for key, _ in stored.ledger}
        gone = verdict.missing | (self.said.added - listed)
        self.lost += len(gone)
        self.found += [f"summary {boot}/{seq} is lost" for boot, seq in sorted(gone)]
        self._last = stored

    def _settings(self) -> None:
        found = remote_settings.read(self._config.store.settings)
        said = self.said
        if not said.set <= found.version <= said.desired:
            self.found.append(f"settings {found.version} after {said.set} to {said.desired}")
        wanted = {"tracking.max_faces": 5 + found.version % 20} if found.version else {}
        if found.own.values() != wanted:
            self.found.append(f"settings {found.version} hold {found.own.values()}")
        said.set = said.desired = found.version

    def _receipts(self) -> None:
        """The key is the same, and the chain goes on from the last receipt that left."""
        path = self._config.store.receipt_key
        assert path is not None
        if path.read_bytes() != self._key:
            self.found.append("the receipt key was changed")
        memory = path.with_name(path.name + ".last")
        if memory.exists():
            json.loads(read_regular_file(memory, 10_000))
        with Outbox(self._config.store, utc=utc) as outbox:
            last = ReceiptBook(self._config, outbox).last()
        newest = max(self.said.signed, default=0)
        if last is None:
            if newest > 1:  # its memory is written after the first receipt, which may have left
                self.found.append(f"receipt {newest} left and no receipt is remembered")
        elif last.number < newest - 1:
            self.found.append(f"receipt {newest} left and {last.number} is remembered")
        elif self.said.signed.get(last.number, last.sha256) != last.sha256:
            self.found.append(f"receipt {last.number} was signed twice")

    def _warden(self) -> None:
        """What left was counted before it did."""
        path = self._config.store.warden
        assert path is not None
        state = load_warden(path)
        if self.said.sent and state.time is None:
            self.found.append("the warden remembers nothing")
        newest = max((key[1] for key in self.said.sent), default=-1)
        if newest >= 0 and (state.run is None or state.run.seq < newest):
            self.found.append(f"summary {newest} left and is not counted")
