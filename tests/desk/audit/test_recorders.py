"""Recording of files and TCP connections."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from inotify_simple import INotify

from agent.base.files import write_atomically
from agent.desk.audit import _recorders
from agent.desk.audit._expected import may_appear
from agent.desk.audit._recorders import FileRecorder, TcpProxy
from agent.desk.audit._written import WrittenStore
from agent.uplink.receipt.key import open_key


def test_changed_and_deleted_files_are_copied(tmp_path: Path) -> None:
    store = WrittenStore()
    (tmp_path / "old").write_text("was there before")
    with FileRecorder(tmp_path, store) as files:
        (tmp_path / "new").write_text("first")
        (tmp_path / "deep").mkdir()
        wait_for(lambda: copied(store, b"first"))
        (tmp_path / "new").write_text("second")
        (tmp_path / "deep" / "file").write_text("below")
        wait_for(lambda: copied(store, b"second") and copied(store, b"below"))
        (tmp_path / "new").unlink()
    assert files.touched == {"new", "deep", "deep/file"}
    assert not files.unseen
    assert not copied(store, b"was there before")
    assert {each.where for each in files.findings} == files.touched


def copied(store: WrittenStore, content: bytes) -> bool:
    return any(content in each.data for each in store.artifacts())


def wait_for(ready: Callable[[], bool]) -> None:
    for _ in range(200):
        if ready():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come in time")


def change_time(path: Path) -> None:
    os.utime(path, ns=(0, 123_456_789))


def link_again(path: Path) -> None:
    os.link(path, path.with_name("settings.json"))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (change_time, "time of modification"),
        (link_again, "it has 2 names"),
        (lambda path: path.chmod(0o755), "its mode is 755"),
        (lambda path: os.truncate(path, 4097), "4097 bytes long"),
        (lambda path: os.mkfifo(path.with_name("receipt.key")), "neither a file nor a folder"),
        (lambda path: os.symlink("pixels", path.with_name("receipt.key")), "neither a file nor"),
    ],
)
def test_attributes_of_expected_files_are_looked_at(
    change: Callable[[Path], None], what: str, tmp_path: Path
) -> None:
    (tmp_path / "outbox").mkdir()
    with FileRecorder(tmp_path, WrittenStore()) as files:
        (tmp_path / "outbox" / "outbox.db").write_bytes(bytes(4096))
        change(tmp_path / "outbox" / "outbox.db")
    assert [each.what for each in files.findings if what in each.what]


def test_extended_attributes_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every file system has them."""
    given: dict[Path, list[str]] = {}
    monkeypatch.setattr(os, "listxattr", lambda path, **_: given.get(path, ["security.selinux"]))
    (tmp_path / "outbox").mkdir()
    with FileRecorder(tmp_path, WrittenStore()) as files:
        path = tmp_path / "outbox" / "outbox.db"
        path.write_bytes(bytes(4096))
        assert not files.findings
        given[path] = ["security.selinux", "user.note"]
    assert [each.what for each in files.findings] == ["extended attributes user.note"]


def test_files_that_were_there_must_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "flow.nbc").write_bytes(b"code")
    (tmp_path / "kernels" / "gone.nbc").write_bytes(b"code")
    with FileRecorder(tmp_path, WrittenStore()) as files:
        (tmp_path / "kernels" / "flow.nbc").write_bytes(b"pixels")
        (tmp_path / "kernels" / "gone.nbc").unlink()
    found = {(each.where, each.what) for each in files.findings}
    assert ("kernels/flow.nbc", "it was changed, and nobody should") in found
    assert ("kernels/gone.nbc", "it was removed, and nobody should") in found


def test_without_inotify_not_everything_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> INotify:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(_recorders, "INotify", refuse)
    store = WrittenStore()
    with FileRecorder(tmp_path, store) as files:
        (tmp_path / "left").write_text("at the end")
    assert "sysctl fs.inotify" in files.unseen[0]
    assert copied(store, b"at the end")


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


def test_only_known_names_are_expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["outbox.db", "outbox.db-wal", "outbox.db.lock", "receipt.key", "settings.json"]
    for function in ("replace", "link"):  # temporary names, as they really are
        real = getattr(os, function)

        def noted(source: str, target: str, real: Callable[..., None] = real) -> None:
            names.append(Path(source).name)
            real(source, target)

        monkeypatch.setattr(os, function, noted)
    for name in ("settings.json", "receipt.key.last"):
        write_atomically(tmp_path / name, b"")
    open_key(tmp_path / "receipt.key")
    assert len(names) == 8
    for name in names:
        assert may_appear(f"outbox/{name}"), name
    names.clear()
    write_atomically(tmp_path / "warden.json", b"")
    for name in ("warden.json", *names):
        assert may_appear(f"outbox-uplink/{name}"), name
        assert not may_appear(f"outbox/{name}"), name
    for name in (
        "preview.jpg",
        "outbox.db.bak",
        "outbox.db-wal2",
        ".settings.json.pixels",
        "a.tmp",
    ):
        assert not may_appear(f"outbox/{name}"), name
    assert not may_appear("tmp/abcd1234")
