"""What is sealed opens with one key only, whole, in order and unchanged."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from agent.desk.review.errors import ReviewError
from agent.desk.review.unseal import WrongKeyError, unseal
from agent.perceive.traces import sealed
from agent.perceive.traces.sealed import HEADER, LENGTH, Sealer

SESSION = bytes(range(16))
CHUNKS = [b"first", b"", b"third " * 500, b"fourth"]


@pytest.fixture
def key() -> X25519PrivateKey:
    return X25519PrivateKey.generate()


def written(path: Path, key: X25519PrivateKey, *, whole: bool = True) -> bytes:
    sealer = Sealer(path, key.public_key(), SESSION, 3)
    for n, chunk in enumerate(CHUNKS):
        sealer.add(chunk, last=whole and n == len(CHUNKS) - 1)
    sealer.abandon()
    assert path.stat().st_size == sealer.size
    return path.read_bytes()


def pieces(data: bytes) -> list[bytes]:
    """Header and chunks, each with its length."""
    found, at = [data[: HEADER.size]], HEADER.size
    while at < len(data):
        end = at + LENGTH.size + LENGTH.unpack_from(data, at)[0]
        found.append(data[at:end])
        at = end
    return found


def test_the_right_key_reads_what_was_written(tmp_path: Path, key: X25519PrivateKey) -> None:
    path = tmp_path / "a"
    written(path, key)
    part = unseal(path, key)
    assert (part.session, part.number, part.whole) == (SESSION.hex(), 3, True)
    assert list(part.chunks) == CHUNKS
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_other_key_reads_anything(tmp_path: Path, key: X25519PrivateKey) -> None:
    path = tmp_path / "a"
    data = written(path, key)
    assert b"third" not in data
    other = X25519PrivateKey.generate()
    with pytest.raises(WrongKeyError, match="another key"):
        unseal(path, other)
    # also where the mark is forged
    forged = data[:36] + sealed.fingerprint(other.public_key()) + data[40:]
    path.write_bytes(forged)
    with pytest.raises(ReviewError, match="was changed"):
        unseal(path, other)


def test_two_files_of_the_same_have_nothing_in_common(
    tmp_path: Path, key: X25519PrivateKey
) -> None:
    one, other = written(tmp_path / "a", key), written(tmp_path / "b", key)
    assert not set(pieces(one)) & set(pieces(other))


@pytest.mark.parametrize("order", [(2, 1, 3, 4), (1, 3, 4), (1, 2, 2, 3, 4), (1, 2, 4, 3), (2, 4)])
def test_chunks_in_another_order_are_refused(
    tmp_path: Path, key: X25519PrivateKey, order: tuple[int, ...]
) -> None:
    path = tmp_path / "a"
    found = pieces(written(path, key))
    path.write_bytes(b"".join([found[0], *(found[n] for n in order)]))
    with pytest.raises(ReviewError, match="was changed"):
        unseal(path, key)


def test_a_chunk_of_another_file_is_refused(tmp_path: Path, key: X25519PrivateKey) -> None:
    one, other = pieces(written(tmp_path / "a", key)), pieces(written(tmp_path / "b", key))
    (tmp_path / "a").write_bytes(b"".join([*one[:2], other[2], *one[3:]]))
    with pytest.raises(ReviewError, match="chunk 2 is not"):
        unseal(tmp_path / "a", key)
    (tmp_path / "a").write_bytes(b"".join([other[0], *one[1:]]))
    with pytest.raises(ReviewError, match="chunk 1 is not"):
        unseal(tmp_path / "a", key)


def test_what_follows_the_last_chunk_is_refused(tmp_path: Path, key: X25519PrivateKey) -> None:
    path = tmp_path / "a"
    found = pieces(written(path, key))
    path.write_bytes(b"".join([*found, found[1]]))
    with pytest.raises(ReviewError, match="was changed"):
        unseal(path, key)


@given(st.data())
def test_every_flipped_bit_and_every_cut_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("sealed")
    key = X25519PrivateKey.generate()
    whole = written(folder / "a", key)
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    flipped = bytearray(whole)
    flipped[bit // 8] ^= 1 << bit % 8
    (folder / "a").write_bytes(flipped)
    try:
        part = unseal(folder / "a", key)
    except ReviewError:
        pass
    else:  # a length that leads beyond the end: cut off there
        assert not part.whole
        assert list(part.chunks) == CHUNKS[: len(part.chunks)]
    (folder / "a").write_bytes(whole[: data.draw(st.integers(HEADER.size, len(whole) - 1))])
    part = unseal(folder / "a", key)
    assert not part.whole
    assert list(part.chunks) == CHUNKS[: len(part.chunks)]


def test_a_file_that_was_not_ended_says_so(tmp_path: Path, key: X25519PrivateKey) -> None:
    written(tmp_path / "a", key, whole=False)
    part = unseal(tmp_path / "a", key)
    assert not part.whole
    assert list(part.chunks) == CHUNKS


def test_nothing_is_replaced_and_no_link_is_followed(tmp_path: Path, key: X25519PrivateKey) -> None:
    (tmp_path / "a").write_bytes(b"mine")
    (tmp_path / "b").symlink_to(tmp_path / "c")
    for name in "ab":
        with pytest.raises(FileExistsError):
            Sealer(tmp_path / name, key.public_key(), SESSION, 1)
    assert (tmp_path / "a").read_bytes() == b"mine"
    assert not (tmp_path / "c").exists()


def test_after_a_write_that_failed_no_nonce_is_used_again(
    tmp_path: Path, key: X25519PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealer = Sealer(tmp_path / "a", key.public_key(), SESSION, 1)
    sealer.add(b"kept")

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        sealer.add(b"half")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="closed"):
        sealer.add(b"again")
    part = unseal(tmp_path / "a", key)
    assert part.chunks[0] == b"kept"
    assert not part.whole


@pytest.mark.parametrize("data", [b"", b"fleeting trace 1", b"x" * 100])
def test_other_files_are_refused(tmp_path: Path, key: X25519PrivateKey, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ReviewError, match="no file of traces"):
        unseal(tmp_path / "a", key)
    with pytest.raises(ReviewError, match="cannot be read"):
        unseal(tmp_path / "b", key)
