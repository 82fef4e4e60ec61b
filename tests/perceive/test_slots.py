"""The day's content slots: one more than the policy's is refused, and said."""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.base.config import StoreConfig
from agent.base.device_time import DeviceTime, Instant
from agent.base.errors import StoreError
from agent.perceive.content_socket import ContentSocket
from agent.perceive.slots import SlotQuota
from agent.wall.outbox import Outbox

DAY = 86_400.0


class World:
    """A machine's clock, and what was refused."""

    def __init__(self, folder: Path) -> None:
        self.outbox = Outbox(StoreConfig(outbox=folder / "outbox.db"))
        self.now = 100.0
        self.machine = "a"
        self.refused = 0

    def quota(self, most: int) -> SlotQuota:
        time: Callable[[Instant | None], DeviceTime] = functools.partial(
            DeviceTime, machine=self.machine, boottime=lambda: self.now, utc=lambda: None
        )
        return SlotQuota(self.outbox, most, self._count, time)

    def _count(self) -> None:
        self.refused += 1


def test_no_more_than_the_days_number_and_slot_0_is_one_of_them(tmp_path: Path) -> None:
    world = World(tmp_path)
    quota = world.quota(4)
    assert [quota.take(slot) for slot in (7, 9, 255, 8, 7, 0)] == [True] * 3 + [False, True, True]
    assert world.refused == 1


def test_a_restart_does_not_bring_more(tmp_path: Path) -> None:
    world = World(tmp_path)
    for slot in range(4):
        assert world.quota(4).take(slot)
    world.now += 3600
    assert not world.quota(4).take(4)
    world.machine, world.now = "b", 5.0  # a reboot; nobody knows how long it took
    assert not world.quota(4).take(4)
    assert world.quota(4).take(3)


def test_a_slot_that_was_long_not_on_show_makes_room(tmp_path: Path) -> None:
    world = World(tmp_path)
    quota = world.quota(3)
    assert quota.take(1)
    assert quota.take(2)
    for _ in range(27):
        world.now += 3600
        assert quota.take(2)
    assert quota.take(3), "slot 1 is a day old"
    assert not quota.take(1)
    world.now += 2 * DAY
    assert world.quota(3).take(1)


def test_a_full_disk_does_not_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    quota = world.quota(2)

    def full(message: object) -> None:
        raise StoreError("No space left on device.")

    monkeypatch.setattr(world.outbox.latest, "put", full)
    assert quota.take(1)
    assert not quota.take(2)


def test_one_slot_more_than_the_days_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    quota = world.quota(3)
    content = ContentSocket(tmp_path / "content.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.connect(str(tmp_path / "content.sock"))
        shown = []
        for line in (b"1\n", b"2\n", b"3\n", b"x\n", b"1\n"):
            client.send(line)
            shown.append(content.poll(quota.take))
    assert shown == [1, 2, None, None, 1], "what was on show before counts on"
    content.close()
