"""The researcher's pair of keys, X25519.

The private one is PKCS #8 in PEM, encrypted with scrypt (RFC 7914) of a passphrase, whose cost and
salt the file's first line says: 128 MiB for each guess. The public one goes to the devices.
"""

from __future__ import annotations

import getpass
import hashlib
import re
import secrets
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from agent.base.errors import ConfigError
from agent.base.files import read_regular_file, read_secret, write_atomically
from agent.desk.review.errors import ReviewError
from agent.perceive.traces.recorder import PUBLIC
from agent.perceive.traces.sealed import raw

PRIVATE_NAME, PUBLIC_NAME = "researcher.key", "researcher.pub"
SHORTEST = 12
"""Characters of a passphrase."""
COST = 2**17
"""scrypt's N, with r = 8 and p = 1."""
_MOST_COST = 2**20
_HEAD = re.compile(rb"Fleeting review key ([0-9a-f]{32}) scrypt ([0-9]{1,8})\n")
_MAX_BYTES = 4096


def make(folder: Path, passphrase: bytes, cost: int = COST) -> tuple[Path, Path]:
    """Write a new pair, private and public; nothing is replaced. Raises `ReviewError`."""
    check(passphrase)
    private, public = folder / PRIVATE_NAME, folder / PUBLIC_NAME
    for path in (private, public):
        if path.exists():
            raise ReviewError(
                f"{path} is there already: traces that were written to it open with no other. Name "
                "another folder."
            )
    key = X25519PrivateKey.generate()
    salt = secrets.token_hex(16)
    data = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(_stretched(passphrase, salt, cost)),
    )
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        head = f"Fleeting review key {salt} scrypt {cost}\n".encode()
        write_atomically(private, head + data, 0o600)
        text = f"{PUBLIC}{raw(key.public_key()).hex()}\n"
        write_atomically(public, text.encode(), 0o644)
    except OSError as error:
        raise ReviewError(f"No key can be written to {folder}: {error.strerror}.") from None
    return private, public


def load(path: Path, passphrase: bytes) -> X25519PrivateKey:
    """Raises `ReviewError` for a file that is none, and for a wrong passphrase."""
    try:
        data = read_regular_file(path, _MAX_BYTES)
    except OSError as error:
        raise ReviewError(f"The private key {path} cannot be read: {error.strerror}.") from None
    head = _HEAD.match(data)
    if head is None:
        raise ReviewError(
            f"{path} is no private key of `fleeting review keys`. Name {PRIVATE_NAME}."
        )
    try:
        stretched = _stretched(passphrase, head[1].decode(), min(int(head[2]), _MOST_COST))
        key = serialization.load_pem_private_key(data[head.end() :], stretched)
    except (ValueError, TypeError):
        raise ReviewError(
            f"{path} does not open. Its passphrase is another, or the file is damaged."
        ) from None
    if not isinstance(key, X25519PrivateKey):
        raise ReviewError(f"{path} is a key of another kind. Name {PRIVATE_NAME}.")
    return key


def ask(file: Path | None, *, new: bool) -> bytes:
    """A passphrase: a file's first line, else from the terminal, a new one twice. Raises
    `ReviewError`, `ConfigError`."""
    if file is not None:
        try:
            lines = read_secret(file, "The passphrase file", _MAX_BYTES).splitlines()
        except OSError as error:
            raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None
        return lines[0] if lines else b""
    if not sys.stdin.isatty():
        raise ReviewError(
            "The passphrase cannot be asked for: there is no terminal. Give --passphrase-file."
        )
    given = getpass.getpass("Passphrase of the researcher's key: ").encode()
    if new:
        check(given)
        if getpass.getpass("Once more: ").encode() != given:
            raise ReviewError("The two are not the same. Nothing was made; begin again.")
    return given


def check(passphrase: bytes) -> None:
    """Raises `ReviewError` where it is too short."""
    if len(passphrase.decode(errors="replace")) < SHORTEST:
        raise ReviewError(
            f"A passphrase needs at least {SHORTEST} characters. Choose a longer one."
        )


def _stretched(passphrase: bytes, salt: str, cost: int) -> bytes:
    key = Scrypt(salt=bytes.fromhex(salt), length=32, n=cost, r=8, p=1).derive(passphrase)
    return hashlib.sha256(key).hexdigest().encode()
