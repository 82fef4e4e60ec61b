"""The signing key of receipts: Ed25519 (RFC 8032), created at first start and never replaced.

After the loss of the key a new chain of receipts begins under a new key.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from agent.base.config import StoreConfig
from agent.base.errors import ConfigError, StoreError
from agent.base.files import read_secret, sync_folder

_NAME = "receipt.key"
_MAX_BYTES = 4096
_NEW_CHAIN = (
    "Restore it from a copy, or move it away: a new key is made at the next start, and receipts "
    "begin a new chain."
)


def key_path(params: StoreConfig) -> Path:
    """As configured, else in $STATE_DIRECTORY (systemd), else beside the outbox."""
    if params.receipt_key is not None:
        return params.receipt_key
    folder = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(folder) / _NAME if folder else params.outbox.with_name(_NAME)


def open_key(path: Path) -> Ed25519PrivateKey:
    """The key in `path` (PEM, PKCS #8), created if missing.

    Raises
    ------
    ConfigError
        It is damaged, not an Ed25519 key, or readable by others.
    StoreError
        It cannot be created: folder missing, disk full or read-only.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ConfigError(
            f"The receipt key {path} cannot be read: {error.strerror}. It must belong to the user "
            "that the uplink runs as."
        ) from None
    try:
        _make(path)
        return _read(path)
    except OSError as error:
        raise StoreError(
            f"The receipt key {path} cannot be made: {error.strerror}. Make its folder writable "
            "for the user that the uplink runs as, or set store.receipt_key."
        ) from None


def public_hex(key: Ed25519PrivateKey) -> str:
    """The public key, 64 hex digits, as in `Meta.key`."""
    return key.public_key().public_bytes_raw().hex()


def _read(path: Path) -> Ed25519PrivateKey:
    content = read_secret(path, "The receipt key", _MAX_BYTES)
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigError(f"The receipt key {path} is damaged. {_NEW_CHAIN}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"The receipt key {path} is no Ed25519 key. {_NEW_CHAIN}")
    return key


def _make(path: Path) -> None:
    """Write a new key to a temporary file, then link it: atomic, and never replaces a key."""
    content = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with open(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(name, path)
        except FileExistsError:
            return  # another process has created it
        sync_folder(path.parent)
    finally:
        os.unlink(name)
