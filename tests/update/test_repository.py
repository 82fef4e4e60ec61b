"""What a device accepts beside TUF's own rules: its clock, its floors, its libraries, its disk."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any, get_args

import pytest

import agent
from agent.base.config import UpdateConfig
from agent.base.report.job import JobReason
from agent.update import repository as module
from agent.update.errors import REJECTED, UpdateError
from agent.update.fetchers import Fetcher
from agent.update.floors import Floors, order
from agent.update.repository import Repository
from tests.update.conftest import Device
from tests.update.repository_simulator import BASE, RepositorySimulator, archive_of, day
from tests.update.sources import FolderSource

DAY = 86_400.0


def test_a_release_is_found_with_what_was_said_of_it(
    device: Device, fleet: RepositorySimulator
) -> None:
    fleet.add("app", "0.3.1", floor="0.2.0")
    device.source.serve(fleet.publish())
    found = device.repository().find("app", "0.3.1")
    data = archive_of("app", "0.3.1")
    assert found == module.Target(
        "app/app-0.3.1.tar.gz",
        "app",
        "0.3.1",
        "0.2.0",
        BASE,
        len(data),
        hashlib.sha256(data).hexdigest(),
    )


def test_progress_is_told_up_to_the_end(device: Device) -> None:
    repository, told = device.repository(), []
    target = repository.find("app", "0.2.0")
    repository.download(target, device.downloads, lambda done, whole: told.append((done, whole)))
    assert told[-1] == (target.length, target.length)
    assert told == sorted(told)


def test_what_is_there_is_not_fetched_again_unless_it_is_damaged(online: Device) -> None:
    repository = online.repository()
    target = repository.find("app", "0.2.0")
    path = repository.download(target, online.downloads)
    online.source.serve({})
    assert repository.download(target, online.downloads) == path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UpdateError, match="no such file"):
        repository.download(target, online.downloads)


# The clock


def test_without_a_trusted_clock_nothing_is_accepted(device: Device) -> None:
    device.clock.trusted = False
    device.refuses("clock", words="not synchronised")
    assert not (device.state / "metadata").exists()
    device.clock.trusted = True
    device.installs()


def test_a_clock_that_becomes_trusted_is_waited_for(device: Device) -> None:
    class Late:
        asked = 0

        def utc(self) -> float | None:
            self.asked += 1
            return time.time() if self.asked > 2 else None

    repository = device.repository(clock=Late(), patience=0.5)
    with pytest.raises(UpdateError):
        device.repository(clock=Late()).find("app", "0.2.0")
    assert repository.find("app", "0.2.0").version == "0.2.0"


def test_a_clock_behind_the_last_good_look_is_refused(device: Device) -> None:
    device.installs()
    device.clock.ahead = -DAY
    device.refuses("clock", words="behind")
    device.clock.ahead = 0
    device.installs()


def test_a_clock_that_was_far_ahead_locks_nobody_out(
    device: Device, fleet: RepositorySimulator
) -> None:
    """To it all metadata has expired, so the look was not good, and the floor stays."""
    device.installs()
    before = Floors(device.state).time
    fleet.roles["timestamp"].expires = day(-1)
    device.source.serve(fleet.refresh())
    device.clock.ahead = 3650 * DAY
    device.refuses("untrusted", words="expired")
    assert Floors(device.state).time == before
    device.clock.ahead = 0
    fleet.roles["timestamp"].expires = day(7)
    device.source.serve(fleet.refresh())
    device.installs()


# Floors


def test_a_device_that_never_updated_does_not_go_below_what_it_came_with(
    device: Device, fleet: RepositorySimulator
) -> None:
    fleet.add("app", "0.0.9")
    fleet.add("app", agent.__version__)
    device.source.serve(fleet.publish())
    device.refuses("floor", version="0.0.9")
    device.installs(version=agent.__version__)


def test_a_floor_is_raised_without_the_stick(tmp_path: Path) -> None:
    """It was pulled while the new version proved itself."""
    Repository(UpdateConfig(), tmp_path, tmp_path / "gone").raise_floor("app", "0.5.0")
    assert Repository(UpdateConfig(), tmp_path, tmp_path / "gone").floor("app") == "0.5.0"


def test_versions_are_numbers() -> None:
    assert order("0.10.0") > order("0.9.9")
    assert order("1.0.0") > order("0.9999.9999")


def test_one_damaged_copy_of_the_floors_changes_nothing(device: Device) -> None:
    device.installs()
    device.repository().raise_floor("app", "7.0.0")
    for name in ("floors.json", "floors-copy.json"):
        whole = (device.state / name).read_bytes()
        for damage in (b"", whole[:20], b"\0" * len(whole), b'{"app": "0.0.1"'):
            (device.state / name).write_bytes(damage)
            device.refuses("floor")
        (device.state / name).write_bytes(whole)


def test_an_older_copy_of_the_floors_does_not_win(device: Device) -> None:
    device.repository().raise_floor("app", "7.0.0")
    old = (device.state / "floors.json").read_bytes()
    device.repository().raise_floor("app", "8.0.0")
    (device.state / "floors.json").write_bytes(old)
    assert device.repository().floor("app") == "8.0.0"
    device.repository().raise_floor("models", "2.0.0")
    for name in ("floors.json", "floors-copy.json"):
        (device.state / name).rename(device.state / "aside")
        assert device.repository().floor("app") == "8.0.0"
        (device.state / "aside").rename(device.state / name)


def test_with_both_copies_damaged_nothing_is_accepted(device: Device) -> None:
    device.installs()
    for name in ("floors.json", "floors-copy.json"):
        (device.state / name).write_bytes(b"{")
    device.refuses("disk", words="begin anew")


def test_a_floor_that_cannot_be_written_is_named(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    repository = device.repository()
    monkeypatch.setattr("agent.update.floors.write_atomically", full)
    with pytest.raises(UpdateError, match="No space") as caught:
        repository.raise_floor("app", "0.5.0")
    assert caught.value.reason == "disk_full"
    assert repository.floor("app") == agent.__version__


# What a listing says


@pytest.mark.parametrize(
    "custom",
    [
        {},
        [],
        "app",
        {"kind": "app", "version": "0.3.0", "floor": "0.3.0"},
        {"kind": "app", "version": "0.3.0", "floor": "0.3.0", "base": BASE, "more": 1},
        {"kind": "app", "version": "0.3.1", "floor": "0.3.0", "base": BASE},
        {"kind": "app", "version": "0.3.0", "floor": "0.3.1", "base": BASE},
        {"kind": "app", "version": "0.3.0", "floor": "0.3", "base": BASE},
        {"kind": "app", "version": "0.3.0", "floor": 3, "base": BASE},
        {"kind": "app", "version": "0.3.0", "floor": "0.3.0", "base": BASE[:-1]},
        {"kind": "app", "version": "0.3.0", "floor": "0.3.0", "base": None},
        {"kind": "app", "version": None, "floor": "0.3.0", "base": BASE},
    ],
)
def test_a_listing_that_is_not_ours_is_refused(
    device: Device, fleet: RepositorySimulator, custom: Any
) -> None:
    fleet.add("app", "0.3.0", custom=custom)
    device.source.serve(fleet.publish())
    device.refuses("untrusted", version="0.3.0", words="listing")
    device.installs()


def test_a_listing_without_sha256_is_refused(device: Device, fleet: RepositorySimulator) -> None:
    path = fleet.add("app", "0.3.0")
    fleet.roles["app"].targets[path].hashes = {"md5": "0" * 32}
    device.source.serve(fleet.publish())
    device.refuses("untrusted", version="0.3.0")


def test_a_release_for_other_libraries_is_refused(
    device: Device, fleet: RepositorySimulator
) -> None:
    other = hashlib.sha256(b"other requirements").hexdigest()
    fleet.add("app", "0.3.0", base=other)
    device.source.serve(fleet.publish())
    device.refuses("base", version="0.3.0", words=BASE[:8])
    assert device.repository(base=other).find("app", "0.3.0").base == other


def test_the_base_is_that_of_the_requirements_beside_the_package(
    device: Device, fleet: RepositorySimulator
) -> None:
    requirements = Path(agent.__file__).parents[1] / "requirements.txt"
    fleet.add("app", "0.3.0", base=hashlib.sha256(requirements.read_bytes()).hexdigest())
    device.source.serve(fleet.publish())
    assert device.repository(base=None).find("app", "0.3.0")


def test_a_release_that_is_too_large_is_refused(
    device: Device, fleet: RepositorySimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fleet.add("app", "0.3.0")
    fleet.roles["app"].targets[path].length = module.MAX_TARGET + 1
    device.source.serve(fleet.publish())
    device.refuses("too_large", version="0.3.0")


@pytest.mark.parametrize("version", ["", "1", "1.2", "1.2.3.4", "../1.2.3", "1.2.3\n", "10000.1.1"])
def test_what_is_no_version_is_refused(device: Device, version: str) -> None:
    device.refuses("malformed", version=version)
    with pytest.raises(UpdateError, match="kind"):
        device.repository().find("system", "0.2.0")  # type: ignore[arg-type]


def test_without_a_repository_updates_are_off(tmp_path: Path) -> None:
    with pytest.raises(UpdateError, match=r"update\.url") as caught:
        Repository(UpdateConfig(), tmp_path)
    assert caught.value.reason == "off"
    assert caught.value.rejected


def test_reasons_are_told_apart_as_in_their_list() -> None:
    every = list(get_args(JobReason))
    assert set(every[: every.index("no_host")]) == REJECTED
    assert UpdateError("floor", "x").rejected
    assert not UpdateError("disk", "x").rejected


# The disk


def test_a_full_disk_is_seen_before_anything_is_fetched(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    device.refuses("disk_full", words="no space")


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.ENOSPC, "disk_full"), (errno.EIO, "disk"), (errno.EROFS, "disk")]
)
def test_a_disk_that_fails_on_the_way_leaves_nothing(
    device: Device, monkeypatch: pytest.MonkeyPatch, number: int, reason: Any
) -> None:
    def fails(self: Fetcher, url: str, length: int, file: IO[bytes], progress: object) -> None:
        file.write(b"x" * (length // 2))
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(Fetcher, "save", fails)
        with pytest.raises(UpdateError) as caught:
            device.installs()
    assert caught.value.reason == reason
    assert not list(device.downloads.iterdir())
    device.installs()


def test_a_full_disk_under_the_metadata_is_named(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("tuf.ngclient.updater.tempfile.NamedTemporaryFile", full)
        device.refuses("disk_full")
    device.installs()


KILLED = """
import sys
import time
from pathlib import Path
from agent.base.config import UpdateConfig
from agent.update.repository import Repository

class Clock:
    utc = staticmethod(time.time)

place, stick, base = *map(Path, sys.argv[1:3]), sys.argv[3]
print("ready", flush=True)
number = 0
while True:
    config = UpdateConfig(root=place / "root.json")
    repository = Repository(config, place / "state", stick, Clock(), base=base, patience=0)
    path = repository.download(repository.find("app", "0.2.0"), place / "downloads")
    path.unlink()
    number += 1
    repository.raise_floor("models", f"0.2.{number}")
"""


@pytest.mark.slow
def test_a_device_killed_at_any_instant_goes_on(tmp_path: Path, fleet: RepositorySimulator) -> None:
    """Its trust is neither lost nor lowered, and no half archive takes a whole one's name."""
    (tmp_path / "stick").mkdir()
    source = FolderSource(tmp_path / "stick")
    old = dict(fleet.served)
    source.serve(fleet.publish())
    device = Device(tmp_path, fleet.root_bytes, source)
    floor: tuple[int, ...] = ()
    for round_ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), str(tmp_path / "stick"), BASE],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.003 * round_)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        now = order(Floors(device.state).version("models"))
        assert now >= floor
        floor = now
        for path in device.downloads.glob("app-*"):
            assert path.read_bytes() == archive_of("app", "0.2.0")
    device.installs()
    source.serve(old)
    device.refuses("untrusted")
