"""Recording of files, TCP connections and system calls."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.base.errors import StoreError
from agent.base.files import write_atomically
from agent.desk.audit import _system_calls
from agent.desk.audit._recorders import FileRecorder, TcpProxy, expected
from agent.uplink.receipt.key import open_key


def test_changed_and_deleted_files_are_copied(tmp_path: Path) -> None:
    run, store = tmp_path / "run", tmp_path / "copies"
    run.mkdir()
    (run / "old").write_text("was there before")
    with FileRecorder([run], store) as files:
        (run / "new").write_text("first")
        (run / "deep").mkdir()
        wait_for(lambda: copied(files, "first"))
        (run / "new").write_text("second")
        (run / "deep" / "file").write_text("below")
        wait_for(lambda: copied(files, "second") and copied(files, "below"))
        (run / "new").unlink()
    assert {each.name for each in files.touched} == {"new", "file"}
    assert files.complete
    assert not copied(files, "was there before")


def copied(files: FileRecorder, content: str) -> bool:
    return any(copy.read_text() == content for _, copy in list(files.copies))


def wait_for(ready: Callable[[], bool]) -> None:
    for _ in range(200):
        if ready():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come in time")


def test_the_proxy_keeps_every_byte_of_both_directions() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                while part := client.recv(1000):
                    client.sendall(part.upper())

        threading.Thread(target=answer, daemon=True).start()
        with (
            TcpProxy(server.getsockname()[1]) as proxy,
            socket.create_connection(("127.0.0.1", proxy.port)) as client,
        ):
            client.sendall(b"pixels" * 1000)
            received = b""
            while len(received) < 6000:
                received += client.recv(1000)
    items = {each.kind: each.data for each in proxy.artifacts()}
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


def test_strace_records_sockets_and_deleted_files(tmp_path: Path) -> None:
    before = _system_calls.strace(tmp_path / "trace")
    if not before:
        pytest.skip("strace is not here or may not trace")
    path = tmp_path / "gone"
    subprocess.run([*before, sys.executable, "-c", CODE, str(path)], check=True)
    trace = _system_calls.read(tmp_path / "trace")
    assert trace.families["AF_INET"] == 1
    assert trace.families["AF_UNIX"] >= 1
    assert path in trace.opened
    assert b"".join(trace.written[str(path)]) == bytes(range(256))
    assert any(b"to the other side" in b"".join(each) for each in trace.written.values())


def test_only_known_files_are_expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["outbox.db", "outbox.db-wal", "outbox.db.lock", "receipt.key", "settings.json"]
    for function in ("replace", "link"):  # temporary names, as they really are
        monkeypatch.setattr(os, function, lambda source, _: names.append(Path(source).name))
    for name in ("settings.json", "receipt.key.last"):
        write_atomically(tmp_path / name, b"")
    with contextlib.suppress(StoreError):
        open_key(tmp_path / "receipt.key")
    assert len(names) == 8
    for name in names:
        assert expected(tmp_path / "outbox" / name, tmp_path, 5000), name
    names.clear()
    write_atomically(tmp_path / "warden.json", b"")
    for name in ("warden.json", *names):
        assert expected(tmp_path / "outbox-uplink" / name, tmp_path, 5000), name
        assert not expected(tmp_path / "outbox" / name, tmp_path, 5), name
    for name in (
        "preview.jpg",
        "outbox.db.bak",
        "outbox.db-wal2",
        ".settings.json.pixels",
        "a.tmp",
    ):
        assert not expected(tmp_path / "outbox" / name, tmp_path, 5), name
    assert expected(tmp_path / "tmp" / "abcd1234", tmp_path, 4)
    assert not expected(tmp_path / "tmp" / "abcd1234", tmp_path, 5)
