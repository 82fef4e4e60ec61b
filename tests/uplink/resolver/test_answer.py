"""The closed form of an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.uplink.resolver.answer import (
    FOUND,
    LENGTH,
    MAX_ADDRESSES,
    REPLACED,
    TIMED_OUT,
    UNKNOWN,
    decode,
    encode,
)

IPV4 = st.tuples(st.just(4), st.binary(min_size=4, max_size=4), st.just(0))
IPV6 = st.tuples(st.just(6), st.binary(min_size=16, max_size=16), st.integers(0, 2**32 - 1))


@given(st.integers(0, 255), st.lists(IPV4 | IPV6, min_size=1, max_size=20))
def test_what_is_encoded_is_decoded(number: int, entries: list[tuple[int, bytes, int]]) -> None:
    answer = encode(number, FOUND, entries)
    assert len(answer) == LENGTH
    assert decode(answer) == (number, FOUND, entries[:MAX_ADDRESSES])


@given(st.binary(min_size=LENGTH, max_size=LENGTH) | st.binary(max_size=2 * LENGTH))
def test_anything_else_is_refused_or_is_what_would_be_encoded(answer: bytes) -> None:
    try:
        number, outcome, entries = decode(answer)
    except ValueError:
        return
    assert encode(number, outcome, entries) == answer


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        encode(1, UNKNOWN)[:-1],
        encode(1, UNKNOWN) + b"\0",
        encode(1, FOUND),
        encode(1, TIMED_OUT, [(4, b"\x7f\0\0\1", 0)]),
        encode(1, REPLACED + 1),
        encode(1, FOUND, [(5, b"\x7f\0\0\1", 0)]),
        encode(1, FOUND, [(4, b"\x7f\0\0\1\0\1", 0)]),
        bytes((1, FOUND, MAX_ADDRESSES + 1)).ljust(LENGTH, b"\4"),
        encode(1, UNKNOWN)[:-1] + b"\1",
    ],
)
def test_what_is_never_said(answer: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - every one
        decode(answer)
