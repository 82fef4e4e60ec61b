"""Any input is parsed or refused with `MalformedError`."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.uplink.strict_json import MAX_BYTES, MAX_DEPTH, MalformedError, parse


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b"7", 7),
        (b' {"version": 3, "config": {"privacy": {"k": 12}}} ', {
            "version": 3, "config": {"privacy": {"k": 12}}
        }),
        (b'"' + b"[" * 4000 + b'"', "[" * 4000),  # brackets in a string nest nothing
        (b'{"a": "\\"[[[[[[\\\\"}', {"a": '"[[[[[[\\'}),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, [[[[]]]]),
        ("\u00e4".join('""').encode(), "\u00e4"),
    ],
)  # fmt: skip
def test_documents_are_read(body: bytes, value: Any) -> None:
    assert parse(body) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" " * (MAX_BYTES + 1),
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b"[" * 4096,
        b'{"a":' * 800 + b"1" + b"}" * 80,
        b'"' * 4095,
        b'"\\' * 2000,
        b'{"version": 1, "version": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b"NaN",
        b"-Infinity",
        b'{"a": 1e999}',
        b"1" * 13,
        b'{"version": ' + b"9" * 4000 + b"}",
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        "{}".encode("utf-32"),
        b"\xff",
        b'{"\xed\xa0\x80": 1}',
        b"{}{}",
        b"{'a': 1}",
        b"{,}",
    ],
)
def test_what_is_ambiguous_or_too_much_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedError):
        parse(body)


def test_the_refusal_repeats_nothing() -> None:
    with pytest.raises(MalformedError) as caught:
        parse(b'{"secret": secret}')
    assert "secret" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=5000))
def test_any_bytes_are_a_value_or_a_refusal(body: bytes) -> None:
    try:
        parse(body)
    except MalformedError:
        return
    assert len(body) <= MAX_BYTES


_LEAVES = st.none() | st.booleans() | st.integers(-(10**10), 10**10) | st.text(max_size=20)
_VALUES = st.recursive(
    _LEAVES | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(_VALUES)
def test_it_agrees_with_the_standard_library_where_it_accepts(value: Any) -> None:
    body = json.dumps(value).encode()
    try:
        found = parse(body)
    except MalformedError:
        assert _depth(value) > MAX_DEPTH or len(body) > MAX_BYTES
        return
    assert found == value
    assert not isinstance(found, float) or math.isfinite(found)


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    nested = isinstance(value, dict | list)
    return nested + max(map(_depth, inner), default=0)
