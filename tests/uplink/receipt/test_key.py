"""The key is created once, atomically, and readable by its owner only."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agent.base.config import StoreConfig
from agent.base.errors import ConfigError, StoreError
from agent.uplink.receipt import key as key_module
from agent.uplink.receipt.key import key_path, open_key, public_hex
from tests.fakes import full_disk


def test_it_is_made_at_the_first_start_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "state" / "receipt.key"
    first = open_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_bytes()
    assert public_hex(open_key(path)) == public_hex(first)
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == ["receipt.key"]


def test_two_that_make_it_at_once_have_the_same(tmp_path: Path) -> None:
    path = tmp_path / "receipt.key"
    winner = open_key(path)
    key_module._make(path)  # it exists already
    assert public_hex(open_key(path)) == public_hex(winner)
    assert os.listdir(tmp_path) == ["receipt.key"]


def test_a_failure_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(StoreError, match=r"No space left.*store\.receipt_key"):
        open_key(tmp_path / "receipt.key")
    assert os.listdir(tmp_path) == []


def test_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    outbox = tmp_path / "outbox.db"
    assert key_path(StoreConfig(outbox=outbox)) == tmp_path / "receipt.key"
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/fleeting-uplink:/var/lib/other")
    assert key_path(StoreConfig(outbox=outbox)) == Path("/var/lib/fleeting-uplink/receipt.key")
    configured = StoreConfig(outbox=outbox, receipt_key=tmp_path / "k")
    assert key_path(configured) == tmp_path / "k"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "receipt.key"
    open_key(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        open_key(path)


def damaged() -> list[bytes]:
    ec = generate_private_key(SECP256R1())
    other = ec.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    whole = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA"
    return [b"", b"\0" * 119, whole, b"not a key", other, b"x" * 100_000]


@pytest.mark.parametrize("number", range(6))
def test_a_damaged_key_is_named_and_never_replaced(tmp_path: Path, number: int) -> None:
    path = tmp_path / "receipt.key"
    content = damaged()[number]
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=r"receipt\.key is (damaged|no Ed25519 key).*new chain"):
        open_key(path)
    assert path.read_bytes() == content


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(ConfigError, match="not a file"):
        open_key(folder)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="not a file"):
        open_key(tmp_path / "pipe")


def test_a_folder_that_cannot_be_made() -> None:
    with pytest.raises(StoreError, match="cannot be made"):
        open_key(Path("/proc/no-folder-of-ours/receipt.key"))  # not even by root
