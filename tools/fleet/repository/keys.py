"""The private keys of an update repository: Ed25519, one file each, PKCS #8 in PEM.

Offline keys (root-1 to root-3, targets, app, models) are encrypted with a passphrase and belong on
sticks in a drawer; online ones (snapshot, timestamp) sign by themselves, unencrypted, mode 0600. A
key's name stands beside its public part in the signed metadata.
"""

from __future__ import annotations

import getpass
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from securesystemslib.exceptions import KeyMismatchError
from securesystemslib.signer import CryptoSigner, Key, SSlibKey

from agent.base.files import read_regular_file, read_secret, write_atomically
from tools.common.errors import ToolError

ROOTS = ("root-1", "root-2", "root-3")
ROOT_THRESHOLD = 2
"""How many of the root keys have to sign a root."""
DELEGATED = ("app", "models")
ONLINE = ("snapshot", "timestamp")
OFFLINE = (*ROOTS, "targets", *DELEGATED)
NAME = "x-fleeting-name"
"""Field of a key in the metadata: what its file is called."""
SHORTEST = 12
"""Characters of a passphrase."""
_MAX_BYTES = 65_536
_HEAD = "Fleeting key"
_SAYS = re.compile(rb"Fleeting key \S+ ([0-9a-f]{64})(?: scrypt ([0-9]{1,8}))?\n")
"""First line of a file, before what PEM (RFC 7468) begins with: which key it is, and how its
passphrase is stretched."""
COST = 2**17
"""scrypt's N, with r = 8 and p = 1: 128 MiB for each guess (OWASP, Password Storage). PKCS #8 as
the library writes it has 2,048 rounds of PBKDF2, which is little for a stick that is stolen."""
_MOST = 2**20
_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"

Passphrase = Callable[[str, bool], bytes]
"""Of a key's name; whether it is a new one, to be asked twice. Raises `ToolError`."""


def role_of(name: str) -> str:
    """The role that a key signs for."""
    return "root" if name in ROOTS else name


def name_of(key: Key) -> str:
    """The name of a key in the metadata; its id where it has none."""
    name = key.unrecognized_fields.get(NAME)
    return name if isinstance(name, str) and name in (*OFFLINE, *ONLINE) else key.keyid[:16]


def from_file(path: Path) -> Passphrase:
    """One passphrase for all keys: the file's first line. Raises `ToolError`."""
    try:
        lines = read_secret(path, "The passphrase file", 4096).splitlines()
    except OSError as error:
        raise ToolError(f"{path} cannot be read: {error.strerror}.") from None
    passphrase = lines[0] if lines else b""

    def given(name: str, new: bool) -> bytes:
        del name
        if new:
            _check(passphrase)
        return passphrase

    return given


def asked() -> Passphrase:
    """Asks on the terminal, once for each key."""
    known: dict[str, bytes] = {}
    last = b""

    def ask(name: str, new: bool) -> bytes:
        nonlocal last
        if name in known and not new:
            return known[name]
        if not sys.stdin.isatty():
            raise ToolError(
                f"The passphrase of {name} cannot be asked for: there is no terminal. Give "
                "--passphrase-file."
            )
        same = f" (empty: that of before; at least {SHORTEST} characters)" if last and new else ""
        given = getpass.getpass(f"Passphrase of {name}{same}: ").encode()
        if new and given:
            _check(given)
            if getpass.getpass("Once more: ").encode() != given:
                raise ToolError("The two are not the same. Nothing was made; begin again.")
        last = known[name] = given or last
        if new:
            _check(last)
        return last

    return ask


def _stretched(passphrase: bytes, keyid: str, cost: int) -> bytes:
    """What a file is encrypted with: scrypt (RFC 7914) of the passphrase, salted with the id."""
    try:
        key = Scrypt(salt=keyid.encode(), length=32, n=cost, r=8, p=1).derive(passphrase)
    except ValueError:
        raise ToolError(
            "A key file says a cost of scrypt that is none. Restore the file."
        ) from None
    return key.hex().encode()


def _check(passphrase: bytes) -> None:
    if len(passphrase.decode(errors="replace")) < SHORTEST:
        raise ToolError(f"A passphrase needs at least {SHORTEST} characters. Choose a longer one.")


class KeyFolders:
    """Where private keys lie: the fleet's own folder, and sticks."""

    def __init__(self, folders: Sequence[Path], passphrase: Passphrase) -> None:
        """`folders`: searched in order; the last is the fleet's own."""
        self._folders = folders
        self._passphrase = passphrase

    def make(self, name: str) -> Key:
        """A new key in the first folder (an online one: in the last), and its public part. A key
        of that name is kept beside it. Raises `ToolError`."""
        signer = CryptoSigner.generate_ed25519()
        private = serialization.load_pem_private_key(signer.private_bytes, None)
        public = signer.public_key
        public.unrecognized_fields[NAME] = name
        head = f"{_HEAD} {name} {public.keyid}"
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if name in OFFLINE:
            head += f" scrypt {COST}"
            encryption = serialization.BestAvailableEncryption(
                _stretched(self._passphrase(name, True), public.keyid, COST)
            )
        data = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )
        data = f"{head}\n".encode() + data
        folder = self._folders[-1 if name in ONLINE else 0]
        path = folder / f"{name}.pem"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.exists():
                os.rename(path, _free(path))
            _write(path, data)
        except OSError as error:
            raise ToolError(f"{path} cannot be written: {error.strerror}.") from None
        return public

    def find(self, key: Key) -> Path | None:
        """The file of this key, which says so in its first line; else one that has its name and
        says nothing. Raises `ToolError`."""
        named = None
        for folder in self._folders:
            for path in sorted(folder.glob("*.pem")):
                said = _SAYS.match(_read(path))
                if said is not None and said[1].decode() == key.keyid:
                    return path
                if said is None and path.name == f"{name_of(key)}.pem":
                    named = named or path
        return named

    def is_encrypted(self, path: Path) -> bool:
        """Raises `ToolError`."""
        return _ENCRYPTED in _read(path)

    def signer(self, key: Key) -> CryptoSigner | None:
        """What signs for a key of the metadata; None where its file is not here. Raises
        `ToolError` for a wrong passphrase and for a file that is another key."""
        path = self.find(key)
        if path is None or not isinstance(key, SSlibKey):
            return None
        data = _read(path)
        passphrase = None
        if self.is_encrypted(path):
            passphrase = self._passphrase(path.stem, False)
            said = _SAYS.match(data)
            if said is not None and said[2] is not None:
                passphrase = _stretched(passphrase, said[1].decode(), min(int(said[2]), _MOST))
        try:
            private = serialization.load_pem_private_key(data, passphrase or None)
        except (ValueError, TypeError):
            raise ToolError(
                f"{path} does not open. Its passphrase is another, or the file is damaged."
            ) from None
        if not isinstance(private, Ed25519PrivateKey):
            raise ToolError(f"{path} is no Ed25519 key. Put the right file there.")
        try:
            return CryptoSigner(private, key)
        except KeyMismatchError:
            raise ToolError(
                f"{path} is another key than the metadata names. Fetch the right one, or replace "
                f"it: fleeting-fleet keys rotate {name_of(key)}."
            ) from None


def _free(path: Path) -> Path:
    """A name beside it for a key that is replaced."""
    number = 1
    while True:
        free = path.with_name(f"{path.stem}.replaced-{number}.pem")
        if not free.exists():
            return free
        number += 1


def _read(path: Path) -> bytes:
    """A key that is not encrypted must be its owner's alone; a stick's file system may know no
    owners."""
    try:
        data = read_regular_file(path, _MAX_BYTES)
        return data if _ENCRYPTED in data else read_secret(path, "The private key", _MAX_BYTES)
    except OSError as error:
        raise ToolError(f"{path} cannot be read: {error.strerror}.") from None


def _write(path: Path, data: bytes) -> None:
    try:
        write_atomically(path, data, 0o600)
    except PermissionError:
        if _ENCRYPTED not in data:
            raise
        write_atomically(path, data)  # a stick's file system may know no modes
