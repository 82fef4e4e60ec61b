"""An update, step by step: how it ends, what is told, and that it goes on wherever it was ended."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.base.clock import ClockReading, WallClock
from agent.base.files import write_atomically
from agent.base.report import Installed, Job, JobExecution, from_json, to_json
from agent.host.health import Limits
from agent.update import state
from agent.update import steps as steps_module
from agent.update.errors import UpdateError
from agent.update.exchange import Exchange
from agent.update.machine import Machine
from agent.update.repository import Target
from agent.update.slots import Slots, tree
from agent.update.soak import Stopped, Timing
from tests.update.archives import BASE, install, models, pack, package
from tools.robustness.update.device import Services

TIMING = Timing(
    soak=0.05, poll=0.005, limits=Limits(20.0, 10.0), absent=10.0, ended=5.0, recover=20.0
)


@dataclass
class FakeSource:
    """A repository that has whatever release it is asked for."""

    folder: Path
    error: UpdateError | None = None
    files: dict[str, bytes] | None = None
    floors: list[tuple[str, str]] = field(default_factory=list)
    during: Callable[[], None] = lambda: None

    def find(self, kind: Any, version: str) -> Target:
        if self.error is not None:
            raise self.error
        files = self.files or (package(version) if kind == "app" else models(version))
        archive = pack(self.folder / f"{kind}-{version}.tar.gz", files)
        data = archive.read_bytes()
        return Target(
            f"{kind}/{kind}-{version}.tar.gz", kind, version, "0.1.0", BASE, len(data),
            hashlib.sha256(data).hexdigest(),
        )  # fmt: skip

    def download(
        self, target: Target, into: Path, progress: Callable[[int, int], None] = lambda *_: None
    ) -> Path:
        into.mkdir(exist_ok=True)
        self.during()
        progress(0, target.length)
        return Path(shutil.copy(self.folder / Path(target.path).name, into))

    def raise_floor(self, kind: Any, version: str) -> None:
        self.floors.append((kind, version))


class Device:
    """A device whose services only stand for themselves."""

    def __init__(self, folder: Path) -> None:
        self.place, self.alive, self.shared = (folder / n for n in ("slots", "alive", "exchange"))
        for each in (self.place, self.alive, self.shared, folder / "repository"):
            each.mkdir()
        self.base = install(package("0.1.0"), folder / "base")
        self.slots = Slots(self.place, self.base)
        self.source = FakeSource(folder / "repository")
        self.services = Services(self.place, self.base, self.alive)
        self.tested: list[tuple[Path, Path]] = []
        self.self_test: UpdateError | None = None
        self.stop_at = sys.maxsize
        self.enabled = True
        self.waits = 0

    def machine(self) -> Machine:
        def self_test(new: Path, old: Path) -> None:
            self.tested.append((new, old))
            if self.self_test is not None:
                raise self.self_test

        def wait(seconds: float, /) -> bool:
            self.waits += 1
            time.sleep(min(seconds, 0.005))
            return self.waits > self.stop_at

        return Machine(
            self.slots, Exchange(self.shared), source=lambda _: self.source, self_test=self_test,
            heartbeat=self.alive, timing=TIMING, wait=wait, enabled=self.enabled,
        )  # fmt: skip

    def ask(self, version: str = "0.2.0", kind: Any = "app", **more: Any) -> Job:
        number = f"{abs(hash((version, kind, str(more)))):016x}"[:16]
        job = Job(job=number, kind=kind, version=version, **more)
        write_atomically(self.shared / "job.json", to_json(job))
        return job

    def take_back(self) -> None:
        (self.shared / "job.json").unlink()

    @property
    def told(self) -> JobExecution | None:
        path = self.shared / "progress.json"
        return from_json(JobExecution, path.read_bytes()) if path.exists() else None

    @property
    def installed(self) -> Installed | None:
        return from_json(Installed, (self.shared / "installed.json").read_bytes())

    def run(self) -> JobExecution:
        self.machine().run()
        assert self.told is not None
        return self.told


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    found = Device(tmp_path)
    with found.services:
        yield found


def test_an_update_is_confirmed_after_its_soak(device: Device) -> None:
    job = device.ask()
    steps: list[str | None] = []
    numbers: list[int] = []
    tell = Exchange.tell

    def noting(self: Exchange, execution: JobExecution) -> None:
        steps.append(execution.step if execution.status == "IN_PROGRESS" else execution.status)
        numbers.append(execution.number)
        tell(self, execution)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Exchange, "tell", noting)
        found = device.run()
    assert found == JobExecution(
        job=job.job, status="SUCCEEDED", step="SOAKING", reason=None, number=found.number,
        app="0.2.0", models="0.2.0",
    )  # fmt: skip
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == 7, "each report that differs has a number of its own"
    kept = list(dict.fromkeys(steps))
    assert kept == [
        "DOWNLOADING", "DOWNLOADED", "VERIFIED", "UPDATING", "UPDATED", "SOAKING", "SUCCEEDED",
    ]  # fmt: skip
    assert (device.slots.current, device.slots.confirmed) == ("a", "a")
    assert device.installed == Installed(app="0.2.0", models="0.2.0")
    assert device.services.versions == {"0.2.0"}
    assert device.source.floors == [("app", "0.1.0")]
    assert device.tested == [(device.place / "a", device.base)]
    assert not (device.place / "download").exists()


def test_the_other_slot_is_next_and_models_come_alone(device: Device) -> None:
    device.ask()
    device.run()
    device.ask("7.0.0", "models")
    found = device.run()
    assert (found.status, found.app, found.models) == ("SUCCEEDED", "0.2.0", "7.0.0")
    assert (device.slots.current, device.slots.confirmed) == ("b", "b")
    assert device.installed == Installed(app="0.2.0", models="7.0.0")


def test_a_job_that_ended_answers_with_its_end_and_does_nothing(device: Device) -> None:
    device.services.bad.add("0.2.0")
    device.ask()
    found = device.run()
    starts = device.services.starts
    (device.shared / "progress.json").unlink()
    device.services.bad.clear()
    assert device.run() == found
    assert len(device.tested) == 1
    assert device.services.versions == {"0.1.0"}
    assert device.services.starts == starts


def test_what_does_not_start_is_taken_back(device: Device) -> None:
    device.services.bad.add("0.2.0")
    device.ask()
    found = device.run()
    assert (found.status, found.step, found.reason) == ("FAILED", "ROLLED_BACK", "crashed")
    assert (device.slots.current, device.slots.confirmed) == ("base", "base")
    assert device.installed == Installed(app="0.1.0", models="0.1.0")
    assert device.services.versions == {"0.1.0"}
    assert device.source.floors == []
    assert not (device.place / "a").exists()


@pytest.mark.parametrize("why", ["model_self_test", "sandbox_self_test", "no_start"])
def test_what_fails_its_self_test_is_never_run(why: Any, device: Device) -> None:
    device.self_test = UpdateError(why, "A fault.")
    device.ask()
    starts = device.services.starts
    found = device.run()
    assert (found.status, found.step, found.reason) == ("FAILED", "DOWNLOADED", why)
    assert device.services.starts == starts
    assert [each.name for each in device.place.iterdir()] == ["state.json"]


@pytest.mark.parametrize("why", ["internal", "no_start"])
def test_a_self_test_that_was_ended_with_the_updater_says_nothing(
    why: Any, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service manager, as Ctrl-C, signals all of its processes."""

    def end(*_: Path) -> None:
        device.stop_at = 0
        raise UpdateError(why, "Ended.")

    device.ask()
    machine = device.machine()
    monkeypatch.setattr(machine._steps, "_self_test", end)
    with pytest.raises(Stopped):
        machine.run()
    assert device.stop_at == 0
    assert device.told is not None
    assert device.told.status == "IN_PROGRESS"
    device.stop_at = sys.maxsize
    assert device.run().status == "SUCCEEDED"


@pytest.mark.parametrize("why", ["untrusted", "clock", "floor", "base", "unlisted", "expired"])
def test_what_the_repository_refuses_is_rejected(why: Any, device: Device) -> None:
    device.source.error = UpdateError(why, "Refused.")
    device.ask()
    found = device.run()
    assert (found.status, found.reason) == ("REJECTED", why)


def test_what_cannot_be_fetched_or_unpacked_fails(device: Device) -> None:
    device.source.error = UpdateError("no_host", "Away.")
    device.ask()
    assert (device.run().status, device.run().reason) == ("FAILED", "no_host")
    device.source.error = None
    device.source.files = {**package("0.3.0"), "agent/../../x": b""}
    device.ask("0.3.0")
    assert (device.run().status, device.run().reason) == ("FAILED", "unpack")


def test_a_job_that_is_over_or_not_wanted_is_rejected(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WallClock, "__call__", lambda self: ClockReading("ntp", 0.0))
    device.ask(expires=1_700_000_000)
    assert (device.run().status, device.run().reason) == ("REJECTED", "expired")
    device.enabled = False
    device.ask("0.4.0")
    assert (device.run().status, device.run().reason) == ("REJECTED", "off")


def test_what_is_in_force_already_is_a_success_at_once(device: Device) -> None:
    device.ask("0.1.0")
    found = device.run()
    assert (found.status, found.step) == ("SUCCEEDED", None)
    assert device.tested == []


def test_a_job_taken_back_in_time_is_canceled(device: Device) -> None:
    device.source.during = device.take_back
    device.ask()
    found = device.run()
    assert (found.status, found.reason) == ("CANCELED", "canceled")
    assert device.slots.current == "base"
    assert [each.name for each in device.place.iterdir()] == ["state.json"]


def test_another_job_in_its_place_cancels_it_and_is_carried_out(device: Device) -> None:
    first = device.ask()

    def change() -> None:
        device.source.during = lambda: None
        device.ask("0.3.0")

    device.source.during = change
    found = device.run()
    assert (found.status, found.app) == ("SUCCEEDED", "0.3.0")
    ended = state.load(device.place)
    assert ended is not None
    assert [each.status for each in ended.ended if each.job == first.job] == ["CANCELED"]


def test_from_the_switch_on_it_is_finished_first(device: Device) -> None:
    job = device.ask()
    switch = Slots.switch

    def switching(self: Slots, slot: str) -> None:
        switch(self, slot)
        device.ask("0.3.0")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Slots, "switch", switching)
        device.run()
    record = state.load(device.place)
    assert record is not None
    assert [(e.job == job.job, e.status, e.app) for e in record.ended] == [
        (True, "SUCCEEDED", "0.2.0"), (False, "SUCCEEDED", "0.3.0"),
    ]  # fmt: skip


def test_a_stick_is_looked_at_after_the_fleet(device: Device) -> None:
    device.ask()
    jobs = [Job(job="f" * 16, kind="models", version="5.0.0"), None]
    device.machine().run(lambda: jobs.pop(0) if jobs else None)
    assert device.installed == Installed(app="0.2.0", models="5.0.0")
    assert device.told is not None
    assert device.told.app == "0.2.0", "of a stick the fleet is told by what is installed"


def test_an_updater_that_is_stopped_goes_on_later(device: Device) -> None:
    device.ask()
    device.stop_at = 3
    with pytest.raises(Stopped):
        device.machine().run()
    device.stop_at = sys.maxsize
    assert device.run().status == "SUCCEEDED"


def test_a_machine_that_starts_too_often_takes_it_back(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.ask()
    boots = iter(f"{number:08x}" for number in range(1000))
    current = next(boots)
    monkeypatch.setattr(steps_module, "_boot", lambda: current)
    monkeypatch.setattr(steps_module, "wait_until_well", stopped)
    for _ in range(3):
        with pytest.raises(Stopped):
            device.machine().run()
        current = next(boots)
    monkeypatch.setattr(steps_module, "wait_until_well", lambda *_, **__: None)
    found = device.run()
    assert (found.status, found.step, found.reason) == ("FAILED", "ROLLED_BACK", "crashed")
    assert device.slots.current == "base"


def stopped(*_: Any, **__: Any) -> None:
    raise Stopped


def test_a_damaged_record_gives_up_what_is_not_confirmed(device: Device) -> None:
    device.ask()
    device.stop_at = 3
    with pytest.raises(Stopped):
        device.machine().run()
    device.slots.fill("b", pack(device.place.parent / "x", package("0.5.0")), "app", "0.5.0", BASE)
    device.slots.switch("b")
    (device.place / "state.json").write_bytes(b"{ damaged")
    device.stop_at = sys.maxsize
    device.take_back()
    device.machine().run()
    assert (device.slots.current, device.slots.confirmed) == ("base", "base")


@pytest.mark.parametrize("content", [b"", b"{}", b"x" * 100_000, b'{"v":1}'])
def test_a_job_file_that_is_none_is_nothing(content: bytes, device: Device) -> None:
    (device.shared / "job.json").write_bytes(content)
    device.machine().run()
    assert device.told is None
    (device.shared / "job.json").unlink()
    os.mkfifo(device.shared / "job.json")
    device.machine().run()
    assert device.told is None


def test_a_slot_that_the_disk_lost_is_made_again(device: Device) -> None:
    device.ask()
    test = device.self_test

    def lose(new: Path, old: Path) -> None:
        if len(device.tested) == 0:
            (device.place / "a/agent/cli.py").write_bytes(b"")
        device.tested.append((new, old))

    del test
    machine = device.machine()
    machine._steps._self_test = lose
    machine.run()
    assert device.told is not None
    assert device.told.status == "SUCCEEDED"
    assert len(device.tested) == 2


_STRIDE = 3
"""Every third change with a good release, those after them with a bad one."""
WRITES = ("replace", "rename", "unlink", "symlink", "mkdir", "rmdir", "fsync", "utime")


def killed_at(device: Device, number: int) -> bool:
    """Run the machine in a process that is gone at its `number`th change of a file; whether it
    was."""
    child = os.fork()
    if child == 0:
        for lock in device.services.locks:  # theirs, not ours to hold
            os.close(lock)
        count = 0

        def ending(call: Callable[..., Any]) -> Callable[..., Any]:
            def called(*given: Any, **named: Any) -> Any:
                nonlocal count
                count += 1
                if count == number:
                    os._exit(99)
                return call(*given, **named)

            return called

        for name in WRITES:
            setattr(os, name, ending(getattr(os, name)))
        try:
            device.machine().run()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 99


@pytest.mark.slow
@pytest.mark.parametrize("bad", [False, True])
def test_killed_at_every_change_of_a_file_it_ends_in_the_old_or_the_new(
    bad: bool, tmp_path: Path
) -> None:
    """As a power cut that keeps what was written; each link leads to a whole slot at all times."""
    trees = {}
    for version in ("0.1.0", "0.2.0"):
        trees[version] = tree(install(package(version), tmp_path / "trees" / version))
    number, kills = bad - _STRIDE, 0
    while True:
        number += _STRIDE
        if number < 1:
            continue
        place = tmp_path / str(number)
        place.mkdir()
        device = Device(place)
        if bad:
            device.services.bad.add("0.2.0")
        with device.services:
            device.ask()
            if not killed_at(device, number):
                break
            kills += 1
            for link in ("current", "confirmed"):
                path = device.place / link
                if path.is_symlink():
                    assert tree(device.place / path.readlink()) == trees["0.2.0"]
            found = device.run()
        wanted = ("FAILED", "ROLLED_BACK", "0.1.0") if bad else ("SUCCEEDED", "SOAKING", "0.2.0")
        assert (found.status, found.step, found.app) == wanted, (number, found)
        assert device.services.versions == {wanted[2]}
        assert device.slots.current == device.slots.confirmed
        shutil.rmtree(place)
    assert kills > 15
