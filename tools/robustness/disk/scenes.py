"""What perceive, uplink and updater do on a disk in trouble; each of them mends itself.

A scene is prepared on a good disk, played on one that fails, played again once it is well, and then
judged. While it fails nothing but the agent's own named errors may come out.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from agent.base.errors import AgentError
from agent.base.report.job import Job
from agent.update import state
from agent.update.bookkeeper import Bookkeeper
from agent.update.exchange import Exchange
from agent.update.floors import Floors
from agent.update.slots import Slots, tree
from agent.uplink.receipt.book import ReceiptBook
from agent.uplink.warden.state import load as load_warden
from agent.wall import remote_settings
from agent.wall.outbox import Outbox
from tools.robustness.crash.check import aside, judge, read
from tools.robustness.power.writers import Perceive, Uplink, configuration, utc
from tools.robustness.update import releases

Errors = Callable[[Callable[[], None]], None]
"""Runs a piece of work, and notes the named error that it ends in."""


class Scene(Protocol):
    """`folder`: where everything is written. Any but an `AgentError` is a finding."""

    def __init__(self, folder: Path) -> None: ...
    def prepare(self) -> None: ...
    def play(self, attempt: Errors) -> None: ...
    def mend(self) -> None: ...
    def judge(self) -> list[str]: ...


class PerceiveScene:
    """Two summaries are there, three are released while the disk fails, one when it is well."""

    def __init__(self, folder: Path) -> None:
        self._config = configuration(folder)
        self._agent: Perceive | None = None
        self._released = 0

    def prepare(self) -> None:
        agent = self._start()
        for _ in range(2):
            self._step(agent)
        agent.close()

    def play(self, attempt: Errors) -> None:
        attempt(self._open)
        agent = self._agent
        if agent is not None:
            for _ in range(3):
                attempt(lambda: self._step(agent))

    def mend(self) -> None:
        agent = self._agent or self._start()
        agent.flush()
        self._step(agent)
        agent.flush()
        agent.close()

    def judge(self) -> list[str]:
        path = self._config.store.outbox
        with Outbox(self._config.store, utc=utc):
            pass
        stored = read(path)
        found = list(judge(stored, {}).violations)
        found += [f"{each} was moved aside" for each in aside(path)]
        if len(stored.ledger) != self._released or len(stored.waiting) != self._released:
            found.append(
                f"{self._released} released, {len(stored.ledger)} in the ledger, "
                f"{len(stored.waiting)} in the outbox"
            )
        return found

    def _start(self) -> Perceive:
        self._config.store.outbox.parent.mkdir(exist_ok=True)
        return Perceive(self._config, lambda _: None, random.Random(1))

    def _open(self) -> None:
        self._agent = self._start()

    def _step(self, agent: Perceive) -> None:
        self._released += 1
        agent.step()


class UplinkScene:
    """Three summaries wait to be sent, with settings to be kept and receipts to be signed."""

    def __init__(self, folder: Path) -> None:
        self._config = configuration(folder)
        self._agent: Uplink | None = None
        self._waiting = ""
        self._sent: dict[tuple[str, int], list[str]] = {}
        self._set = 0

    def prepare(self) -> None:
        self._config.store.outbox.parent.mkdir(exist_ok=True)
        perceive = Perceive(self._config, lambda _: None, random.Random(1))
        for _ in range(3):
            perceive.step()
        perceive.close()
        agent = Uplink(self._config, self._tell, random.Random(1))  # makes key and state
        agent.control.set_paused(True)
        agent.close()

    def play(self, attempt: Errors) -> None:
        attempt(self._open)
        agent = self._agent
        if agent is not None:
            for _ in range(3):
                attempt(agent.step)

    def mend(self) -> None:
        agent = self._agent or Uplink(self._config, self._tell, random.Random(1))
        agent.control.tick(float("inf"))
        for _ in range(8):
            agent.step()
        agent.close()
        self._agent = agent

    def judge(self) -> list[str]:
        store = self._config.store
        assert store.warden is not None
        stored = read(store.outbox)
        verdict = judge(stored, self._sent)
        found = [*verdict.violations, *(f"{key} is lost" for key in verdict.missing)]
        found += [f"{each} was moved aside" for each in aside(store.outbox)]
        if len(self._sent) != 3 or stored.waiting:
            found.append(f"{len(self._sent)} of 3 sent, {len(stored.waiting)} still wait")
        state = load_warden(store.warden)
        if state.run is None or state.run.seq != 2:
            found.append("the warden has not counted what left")
        assert self._agent is not None
        settings = remote_settings.read(store.settings)
        if settings != self._agent.control.settings:
            found.append("the settings in force are not those of the file")
        if settings.version < self._set:
            found.append(f"settings {settings.version} after {self._set}")
        with Outbox(store, utc=utc) as outbox:
            if ReceiptBook(self._config, outbox).public_key != self._agent.receipts.public_key:
                found.append("the receipt key was changed")
        return found

    def _open(self) -> None:
        self._agent = Uplink(self._config, self._tell, random.Random(1))

    def _tell(self, line: str) -> None:
        what, *rest = line.split()
        if what == "sent":
            self._sent.setdefault((rest[0], int(rest[1])), []).append(rest[2])
        elif what == "set":
            self._set = int(rest[0])


class UpdateScene:
    """Slot `a` is in force and confirmed; `b` is filled, its floor raised, the link switched."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._base = folder / "device", folder / "base"
        self._exchange = Exchange(folder / "exchange")
        self._files = {n: releases.small(f"0.1.{n}", n) for n in range(3)}
        self._archive = folder / "release.tar.gz"
        self._needs = releases.base_of(self._files[0])
        self._done = False

    def prepare(self) -> None:
        for each in (self._folder, self._base, self._exchange.folder):
            each.mkdir()
        releases.write(self._files[0], self._base)
        releases.pack(self._files[1], self._archive)
        slots = Slots(self._folder, self._base)
        slots.fill("a", self._archive, "app", "0.1.1", self._needs)
        slots.switch("a")
        slots.confirm("a")
        Floors(self._folder).raise_version("app", "0.1.1")
        releases.pack(self._files[2], self._archive)

    def play(self, attempt: Errors) -> None:
        attempt(self._update)

    def mend(self) -> None:
        self._update()

    def judge(self) -> list[str]:
        found = []
        slots = Slots(self._folder, self._base)
        for slot, number in (("a", 1), ("b", 2)):
            if tree(self._folder / slot) != releases.tree_of(self._files[number]):
                found.append(f"slot {slot} is not whole")
        if (slots.current, slots.confirmed) != ("b", "a"):
            found.append(f"{slots.current} is in force and {slots.confirmed} confirmed")
        if Floors(self._folder).version("app") != "0.1.2":
            found.append("the floor was not raised")
        record = state.load(self._folder)
        if record is None or record.update is None or record.update.phase != "updating":
            found.append("the record does not say what was begun")
        left = [each for each in self._folder.glob(".*.tmp") if "floors" not in each.name]
        return found + [f"{each.name} is left" for each in left]

    def _update(self) -> None:
        """As the updater does it, from the beginning."""
        slots = Slots(self._folder, self._base)
        slots.tidy()
        books = Bookkeeper(slots, self._exchange)
        job = hashlib.sha256(b"job").hexdigest()[:16]
        update = state.Update(
            job=Job(job=job, kind="app", version="0.1.2"), media=False, phase="downloading",
            number=0, reason=None, release=None, slot=None, tree=None, before=None, boot="",
            boots=0,
        )  # fmt: skip
        books.save(update)
        if slots.current != "b":
            slots.fill("b", self._archive, "app", "0.1.2", self._needs)
        Floors(self._folder).raise_version("app", "0.1.2")
        books.save(update.model_copy(update={"phase": "updating", "slot": "b"}))
        slots.switch("b")
        books.ask_for_restart()


SCENES: dict[str, type[Scene]] = {
    "perceive": PerceiveScene,
    "uplink": UplinkScene,
    "updater": UpdateScene,
}


def errors(named: list[str]) -> Errors:
    """An `Errors` that notes into `named`; anything but an `AgentError` goes through."""

    def attempt(work: Callable[[], None]) -> None:
        try:
            work()
        except AgentError as error:
            named.append(str(error))

    return attempt
