"""The content socket: slots are accepted, everything else is refused, no client blocks it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agent.base.errors import ConfigError
from agent.perceive.content_socket import ContentSocket, remove, socket_path

ROOT = Path(__file__).resolve().parents[2]


def connect(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(5)
    client.connect(str(path))
    return client


def test_the_newest_number_counts_and_each_line_is_answered(tmp_path: Path) -> None:
    path = tmp_path / "content.sock"
    content = ContentSocket(path)
    assert content.poll() is None
    with connect(path) as client:
        client.sendall(b"3\n 255 \r\n")
        assert content.poll() == 255
        assert client.recv(99) == b"ok\nok\n"
        client.sendall(b"1")
        assert content.poll() is None
        client.sendall(b"7\n")
        assert content.poll() == 17
    assert content.poll() is None
    content.close()
    with pytest.raises(ConnectionRefusedError):
        connect(path)
    remove(path)
    assert not path.exists()


@pytest.mark.parametrize(
    "line", [b"256", b"-1", b"1.5", b"", b"x", b"0x10", "٣".encode(), b"1e2", b"00012", b"\xff"]
)
def test_what_is_no_slot_is_refused(tmp_path: Path, line: bytes) -> None:
    content = ContentSocket(tmp_path / "content.sock")
    with connect(tmp_path / "content.sock") as client:
        client.sendall(line + b"\n")
        assert content.poll() is None
        assert client.recv(99) == b"refused\n"
    content.close()


def test_floods_and_endless_lines_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "content.sock"
    content = ContentSocket(path)
    with connect(path) as client:
        client.sendall(b"1" * 5000)
        assert content.poll() is None
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(9) == b""
    clients = []
    for _ in range(40):
        clients.append(connect(path))
        content.poll()
    clients[-1].sendall(b"9\n")
    assert content.poll() == 9
    with connect(path) as reader:  # does not read its answers
        reader.setblocking(False)
        for _ in range(2000):
            try:
                reader.sendall(b"5\n" * 50)
            except BlockingIOError:
                break
        for _ in range(50):
            content.poll()
    for client in clients:
        client.close()
    content.close()


def test_only_owner_and_group_may_connect_and_stale_sockets_go(tmp_path: Path) -> None:
    path = tmp_path / "content.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    content = ContentSocket(path)
    assert path.stat().st_mode & 0o777 == 0o660
    content.close()


def test_a_place_where_none_can_be_made_is_named(tmp_path: Path) -> None:
    precious = tmp_path / "file"
    precious.write_text("kept")
    for path in (precious, tmp_path / "nowhere" / "content.sock", tmp_path / ("x" * 120)):
        with pytest.raises(ConfigError, match=r"content\.socket"):
            ContentSocket(path)
        remove(path)
    assert precious.read_text() == "kept"


def test_a_descriptor_that_is_passed_along_is_not_received(tmp_path: Path) -> None:
    content = ContentSocket(tmp_path / "content.sock")
    reading, writing = os.pipe()
    with connect(tmp_path / "content.sock") as client:
        socket.send_fds(client, [b"4\n"], [writing])
        os.close(writing)
        before = set(os.listdir("/proc/self/fd"))
        assert content.poll() == 4
        # the client's own connection is new, and the pipe has no writer left
        assert len(set(os.listdir("/proc/self/fd")) - before) == 1
        assert os.read(reading, 1) == b""
    os.close(reading)
    content.close()


SEALED = """
import os, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from agent.host.sandbox.enter import enter_perceive
from agent.perceive.content_socket import ContentSocket
content = ContentSocket(Path({path!r}))
enter_perceive([])
print("ready", flush=True)
while (slot := content.poll()) is None:
    pass
content.close()
print(slot)
"""


@pytest.mark.slow
def test_it_is_served_from_inside_the_sandbox(tmp_path: Path) -> None:
    """Without a right to its folder."""
    path = tmp_path / "content.sock"
    script = SEALED.format(root=str(ROOT), path=str(path))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    with connect(path) as client:
        client.sendall(b"9\n")
        assert client.recv(9) == b"ok\n"
        assert process.stdout.readline() == "9\n"
    assert process.wait(30) == 0
    process.stdout.close()


def test_the_path_is_configured_or_in_the_runtime_directory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert socket_path(None) is None
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/fleeting-perceive")
    assert socket_path(None) == Path("/run/fleeting-perceive/content.sock")
    assert socket_path(Path("/tmp/x")) == Path("/tmp/x")
    assert os.environ["RUNTIME_DIRECTORY"]
