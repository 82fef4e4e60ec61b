"""A file that this device can write and cannot read: encrypted to the researcher's public key, in
chunks.

A header of 72 bytes: 16 of `MAGIC`; 16, the session; 4, the part's number; 4, the first bytes of
the key's SHA-256; 32, an X25519 public key made for this file. HKDF-SHA256 over its agreement with
the researcher's key, salted with the header, gives a key and a nonce's first seven bytes; the
private half is forgotten at once. Chunks follow: four bytes, the length of what comes (big endian,
as all numbers here), and that, ChaCha20-Poly1305 of at most `MOST` bytes.

A chunk's nonce is the seven bytes, its number (four), and one that is 1 in the last chunk only: the
STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár, CRYPTO 2015). So chunks cannot be
changed, swapped, left out or moved to another file, and a file without a last one was cut off.
Every chunk is on disk before the next is begun: a power cut loses what was not yet a chunk.

Agreement and derivation are like those of HPKE (RFC 9180), which is not used itself: the oldest
`cryptography` that is supported does not have it.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import IO

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.base.files import sync_folder

MAGIC = b"fleeting trace 1"
HEADER = struct.Struct(">16s16sI4s32s")
LENGTH = struct.Struct(">I")
MOST = 1 << 20
"""Bytes of a chunk before it is encrypted."""
TAG = 16
_PREFIX = 7
_LAST_NUMBER = 2**32 - 1


class Sealer:
    """Writes one file. A write that fails ends it: what was written of that chunk may be on the
    disk, and its nonce must not be used for anything else."""

    def __init__(self, path: Path, key: X25519PublicKey, session: bytes, part: int) -> None:
        """`path`: must not exist. `session`: 16 bytes. Raises `OSError`."""
        once = X25519PrivateKey.generate()
        public = raw(once.public_key())
        header = HEADER.pack(MAGIC, session, part, fingerprint(key), public)
        secret, self._prefix = derive(once.exchange(key), header, key)
        self._cipher = ChaCha20Poly1305(secret)
        self._number = 0
        self._file: IO[bytes] | None = open(path, "xb", buffering=0, opener=_private)  # noqa: SIM115
        self.size = 0
        """Bytes in the file."""
        try:
            self._write(header)
            sync_folder(path.parent)
        except BaseException:
            self.abandon()
            raise

    def add(self, data: bytes, *, last: bool = False) -> None:
        """One chunk, of at most `MOST` bytes; it is on the disk on return. Raises `OSError`, after
        which nothing more can be added."""
        if len(data) > MOST or self._number > _LAST_NUMBER:
            raise ValueError("no chunk may be that long, and no file have so many")
        length = LENGTH.pack(len(data) + TAG)
        sealed = self._cipher.encrypt(nonce(self._prefix, self._number, last), data, length)
        self._number += 1
        try:
            self._write(length + sealed)
        except OSError:
            self.abandon()
            raise
        if last:
            self.abandon()

    def abandon(self) -> None:
        """Close the file as it is: where no last chunk was added, it counts as cut off."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, data: bytes) -> None:
        if self._file is None:
            raise ValueError("the file is closed")
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        os.fsync(self._file.fileno())
        self.size += len(data)


def derive(agreed: bytes, header: bytes, key: X25519PublicKey) -> tuple[bytes, bytes]:
    """Key (32 bytes) and nonce prefix (7) of a file, from what the two keys agree on."""
    found = HKDF(hashes.SHA256(), 32 + _PREFIX, salt=header, info=MAGIC + raw(key)).derive(agreed)
    return found[:32], found[32:]


def nonce(prefix: bytes, number: int, last: bool) -> bytes:
    """Of chunk `number`, from 0: 12 bytes."""
    return prefix + LENGTH.pack(number) + bytes([last])


def raw(key: X25519PublicKey) -> bytes:
    """32 bytes."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def fingerprint(key: X25519PublicKey) -> bytes:
    """Four bytes, by which files and keys find each other."""
    return hashlib.sha256(raw(key)).digest()[:4]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
