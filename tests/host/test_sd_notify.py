"""Messages to the service manager, their rate, and a missing manager."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.host import heartbeat, sd_notify


class Manager:
    """The other end of $NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)

    def received(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    monkeypatch.setattr(sd_notify, "_next_keepalive", 0.0)
    found = Manager(path)
    sd_notify.connect()
    yield found
    found.close()


@pytest.fixture(autouse=True)
def none_is_left() -> Iterator[None]:
    """The socket of a test is not that of the next one."""
    yield
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("NOTIFY_SOCKET", raising=False)
        sd_notify.connect()


def test_ready_status_and_stopping_follow_sd_notify_3(manager: Manager) -> None:
    sd_notify.ready("kernels warm")
    sd_notify.status("12 faces\nREADY=0")
    sd_notify.stopping()
    assert manager.received() == [
        "READY=1\nSTATUS=kernels warm",
        "STATUS=12 faces READY=0",  # no second assignment through a line break
        "STOPPING=1",
    ]


def test_an_abstract_address_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"fleeting-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    sd_notify.connect()
    sd_notify.ready()
    assert manager.received() == ["READY=1"]
    manager.close()


def test_keep_alives_are_rate_limited(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    sd_notify.ready()
    manager.received()
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setenv("WATCHDOG_USEC", "8000000")
    for _ in range(80):  # 8 seconds at ten a second
        sd_notify.watchdog()
        now[0] += 0.1
    assert manager.received() == ["WATCHDOG=1"] * 4


@pytest.mark.parametrize(
    ("timeout", "process"), [(None, None), ("0", None), ("soon", None), ("8000000", "1")]
)
def test_without_a_watchdog_for_this_process_none_is_sent(
    timeout: str | None,
    process: str | None,
    manager: Manager,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for key, value in (("WATCHDOG_USEC", timeout), ("WATCHDOG_PID", process)):
        if value is None:
            monkeypatch.delenv(key, raising=False)
        else:
            monkeypatch.setenv(key, value)
    sd_notify.watchdog()
    assert manager.received() == []


def test_only_a_process_that_is_well_feeds_the_watchdog(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that is not ready, nor one that hangs in its end."""
    monkeypatch.setenv("WATCHDOG_USEC", "8000000")
    monkeypatch.setattr(heartbeat, "_beat", None)
    sd_notify.watchdog()
    assert manager.received() == []
    sd_notify.ready()
    sd_notify.watchdog()
    assert manager.received() == ["READY=1", "WATCHDOG=1"]
    monkeypatch.setattr(sd_notify, "_next_keepalive", 0.0)
    sd_notify.stopping()
    sd_notify.watchdog()
    assert manager.received() == ["STOPPING=1"]


@pytest.mark.parametrize("address", [None, "", "relative", "/no/such/socket", "@" + "x" * 300])
def test_a_missing_service_manager_is_ignored(
    address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if address is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    sd_notify.connect()
    sd_notify.ready("x")
    sd_notify.status("x")
    sd_notify.stopping()


def test_a_manager_that_does_not_read_does_not_block(manager: Manager) -> None:
    for number in range(5000):
        sd_notify.status(str(number))
    assert manager.received()[0] == "STATUS=0"


def test_the_socket_is_opened_once_and_inherited_by_no_program(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment says later, and a manager that comes back, change nothing."""
    monkeypatch.setenv("NOTIFY_SOCKET", "/somewhere/else")
    sd_notify.ready()
    assert manager.received() == ["READY=1"]
    assert sd_notify._manager is not None
    assert not os.get_inheritable(sd_notify._manager.fileno())
    manager.close()
    made = []
    monkeypatch.setattr(socket, "socket", lambda *_: made.append(1))
    sd_notify.status("nobody listens")
    assert made == []


def test_before_connect_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    sd_notify.ready()
    assert manager.received() == []
    manager.close()
