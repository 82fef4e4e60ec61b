"""What is watched while it happens: files, the wire, system calls."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from agent.desk.audit import syscalls
from agent.desk.audit.proxy import Tap
from agent.desk.audit.watch import Watcher


def test_files_are_copied_as_they_change_and_after_they_are_gone(tmp_path: Path) -> None:
    run, store = tmp_path / "run", tmp_path / "copies"
    run.mkdir()
    (run / "old").write_text("was there before")
    with Watcher([run], store) as watcher:
        (run / "new").write_text("first")
        (run / "deep").mkdir()
        wait_for(lambda: copied(watcher, "first"))
        (run / "new").write_text("second")
        (run / "deep" / "file").write_text("below")
        wait_for(lambda: copied(watcher, "second") and copied(watcher, "below"))
        (run / "new").unlink()
    assert {each.name for each in watcher.touched} == {"new", "file"}
    assert watcher.complete
    assert not copied(watcher, "was there before")


def copied(watcher: Watcher, content: str) -> bool:
    return any(copy.read_text() == content for _, copy in list(watcher.copies))


def wait_for(ready: object) -> None:
    assert callable(ready)
    for _ in range(200):
        if ready():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come in time")


def test_the_tap_keeps_every_byte_of_both_directions() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                while part := client.recv(1000):
                    client.sendall(part.upper())

        threading.Thread(target=answer, daemon=True).start()
        with Tap(server.getsockname()[1]) as tap:
            with socket.create_connection(("127.0.0.1", tap.port)) as client:
                client.sendall(b"pixels" * 1000)
                received = b""
                while len(received) < 6000:
                    received += client.recv(1000)
            items = {item.kind: item.data for item in tap.items()}
    assert items == {"wire": b"pixels" * 1000, "reply": b"PIXELS" * 1000}
    assert received == items["reply"]


CODE = """
import os, socket, sys
with open(sys.argv[1], "wb") as file:
    file.write(bytes(range(256)))
os.unlink(sys.argv[1])
socket.socket(socket.AF_INET).close()
a, b = socket.socketpair()
a.send(b"to the other side")
"""


def test_system_calls_tell_of_sockets_and_of_files_that_are_gone(tmp_path: Path) -> None:
    before = syscalls.prefix(tmp_path / "trace")
    if not before:
        pytest.skip("strace is not here or may not trace")
    path = tmp_path / "gone"
    subprocess.run([*before, sys.executable, "-c", CODE, str(path)], check=True)
    trace = syscalls.read(tmp_path / "trace")
    assert trace.families["AF_INET"] == 1
    assert trace.families["AF_UNIX"] >= 1
    assert path in trace.opened
    assert b"".join(trace.written[str(path)]) == bytes(range(256))
    assert any(b"to the other side" in b"".join(each) for each in trace.written.values())
