"""The content socket: slots are received, nothing else is, and nothing is ever answered."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agent.base.errors import ConfigError
from agent.perceive.content_socket import NAME, ContentSocket
from agent.perceive.local_socket import remove, socket_path

ROOT = Path(__file__).resolve().parents[2]


def connect(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    client.settimeout(5)
    client.connect(str(path))
    return client


def test_the_newest_number_counts(tmp_path: Path) -> None:
    path = tmp_path / "content.sock"
    content = ContentSocket(path)
    assert content.poll() is None
    with connect(path) as client:
        client.send(b"3\n 255 \r\n")
        assert content.poll() == 255
        client.send(b"4\n")
        client.send(b"17")
        assert content.poll() == 17
        client.send(b"x\n8\nx\n")
        assert content.poll() == 8
    assert content.poll() is None
    content.close()
    with pytest.raises(ConnectionRefusedError):
        connect(path)
    remove(path)
    assert not path.exists()


@pytest.mark.parametrize(
    "line", [b"256", b"-1", b"1.5", b"", b"x", b"0x10", "٣".encode(), b"1e2", b"00012", b"\xff"]
)
def test_what_is_no_slot_is_passed_over(tmp_path: Path, line: bytes) -> None:
    content = ContentSocket(tmp_path / "content.sock")
    with connect(tmp_path / "content.sock") as client:
        client.send(line + b"\n")
        assert content.poll() is None
        client.send(line + b"\n7\n")
        assert content.poll() == 7
    content.close()


def test_floods_and_endless_lines_do_not_block_it(tmp_path: Path) -> None:
    path = tmp_path / "content.sock"
    content = ContentSocket(path)
    with connect(path) as client:
        client.send(b"1" * 50_000)
        assert content.poll() is None
        client.send(b"1\n" * 200)
        assert content.poll() is None
        client.setblocking(False)
        for _ in range(100):
            for _ in range(1000):
                try:
                    client.send(b"5\n")
                except BlockingIOError:
                    break
            assert content.poll() == 5
        content.poll()
        client.send(b"9\n")
        assert content.poll() == 9
    content.close()


def test_only_owner_and_group_may_send_and_stale_sockets_go(tmp_path: Path) -> None:
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
        assert set(os.listdir("/proc/self/fd")) == before
        assert os.read(reading, 1) == b""  # the pipe has no writer left
    os.close(reading)
    content.close()


SEALED = """
import json, os, socket, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from agent.host.sandbox.enter import enter_perceive
from agent.perceive.content_socket import ContentSocket
content = ContentSocket(Path({path!r}))
enter_perceive([])
print("ready", flush=True)
while (slot := content.poll()) is None:
    pass
raw = content._socket._socket

def code(attempt):
    try:
        attempt()
    except OSError as error:
        return error.errno
    return 0

print(json.dumps(dict(slot=slot, out=[
    code(lambda: raw.send(b"x")), code(lambda: os.write(raw.fileno(), b"x")),
    code(lambda: raw.sendto(b"x", {client!r})), code(lambda: raw.connect({client!r})),
    code(lambda: raw.sendmsg([b"x"], [], 0, {client!r})), code(lambda: raw.listen()),
    code(lambda: raw.accept()), code(lambda: socket.socketpair()),
    code(lambda: os.writev(raw.fileno(), [b"x"])),
])))
"""


@pytest.mark.slow
def test_from_inside_the_sandbox_it_is_one_way(tmp_path: Path) -> None:
    """Without a right to its folder; a client that could be answered, since it has a name, hears
    nothing."""
    path, name = tmp_path / "content.sock", str(tmp_path / "client")
    script = SEALED.format(root=str(ROOT), path=str(path), client=name)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.bind(name)
        client.connect(str(path))
        client.send(b"9\n")
        found = json.loads(process.stdout.readline())
        assert process.wait(30) == 0
        process.stdout.close()
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(9)
    assert found["slot"] == 9
    assert set(found["out"]) <= {errno.EPERM, errno.ENOTCONN, errno.EDESTADDRREQ, errno.EOPNOTSUPP}


def test_the_path_is_configured_or_in_the_runtime_directory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert socket_path(None, NAME) is None
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/fleeting-perceive")
    assert socket_path(None, NAME) == Path("/run/fleeting-perceive/content.sock")
    assert socket_path(Path("/tmp/x"), NAME) == Path("/tmp/x")
    assert os.environ["RUNTIME_DIRECTORY"]
