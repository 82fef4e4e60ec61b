"""Reading one file of traces with the researcher's private key (`agent.perceive.traces.sealed`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from agent.base.files import read_regular_file
from agent.base.names import one_line
from agent.desk.review.errors import ReviewError
from agent.perceive.traces.sealed import (
    HEADER,
    LENGTH,
    MAGIC,
    MOST,
    TAG,
    derive,
    fingerprint,
    nonce,
)

MOST_BYTES = 2_000_000_000
"""Of one file."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one file holds."""

    session: str
    """32 hex digits."""
    number: int
    chunks: tuple[bytes, ...]
    whole: bool
    """Whether its last chunk is there; else the device was cut off, or the file was."""


class WrongKeyError(ReviewError):
    """The file was written for another key."""


def unseal(path: Path, key: X25519PrivateKey) -> Part:
    """Raises `WrongKeyError`, and `ReviewError` where it is not what the device wrote: changed,
    swapped or missing chunks. What was cut off at the end is read as far as it goes."""
    try:
        data = read_regular_file(path, MOST_BYTES)
    except OSError as error:
        raise ReviewError(f"{one_line(path)} cannot be read: {error.strerror}.") from None
    if len(data) < HEADER.size or not data.startswith(MAGIC):
        raise ReviewError(f"{one_line(path)} is no file of traces, or its beginning is missing.")
    header = data[: HEADER.size]
    _, session, number, mark, once = HEADER.unpack(header)
    public = key.public_key()
    if mark != fingerprint(public):
        raise WrongKeyError(
            f"{one_line(path)} was written for another key ({mark.hex()}, yours is "
            f"{fingerprint(public).hex()})."
        )
    try:
        agreed = key.exchange(X25519PublicKey.from_public_bytes(once))
    except ValueError:
        raise ReviewError(f"{one_line(path)} was changed: its key is none.") from None
    secret, prefix = derive(agreed, header, public)
    cipher = ChaCha20Poly1305(secret)
    chunks: list[bytes] = []
    for length, sealed, end in _framed(data):
        place = len(chunks)
        for last in (False, True) if end else (False,):
            try:
                chunks.append(cipher.decrypt(nonce(prefix, place, last), sealed, length))
            except InvalidTag:
                continue
            break
        else:
            raise ReviewError(
                f"{one_line(path)} was changed: chunk {place + 1} is not what the device wrote "
                "there. Fetch the file again."
            )
        if last:
            return Part(session.hex(), number, tuple(chunks), whole=True)
    return Part(session.hex(), number, tuple(chunks), whole=False)


def _framed(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Length field, chunk, and whether the file ends with it; an unfinished one at the end is left
    out."""
    at = HEADER.size
    while at + LENGTH.size <= len(data):
        length = data[at : at + LENGTH.size]
        (size,) = LENGTH.unpack(length)
        end = at + LENGTH.size + size
        if size > MOST + TAG or end > len(data):
            return
        yield length, data[at + LENGTH.size : end], end == len(data)
        at = end
