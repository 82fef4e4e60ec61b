"""What a hostile device, or nobody's device, may send: none of it passes, none of it hurts."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.fleet.collector.conftest import body
from tools.fleet.collector.intake import MAX_BYTES, Incoming, Message, Refusal, examine
from tools.fleet.collector.quarantine import escaped

TOPIC = "fleeting/1/d/box-7/summary"
GOOD = body(1)
HOSTILE = {
    b"": "json",
    b"\x00": "json",
    b"{": "json",
    b"null": "fields",
    b"[]": "fields",
    b"{}": "fields",
    b"NaN": "fields",
    b"\xff\xfe{}": "json",
    b"[" * 2000: "json",
    b'{"a":' * 600: "json",
    b"9" * 4000: "fields",
    b" " + GOOD: "not_canonical",
    GOOD + b"\n": "not_canonical",
    GOOD.replace(b'"v":1', b'"v":1,"v":1', 1): "not_canonical",
    GOOD.replace(b'"seq":1', b'"seq":1.0', 1): "fields",
    GOOD.replace(b'"seq":1', b'"seq":true', 1): "fields",
    GOOD.replace(b'"seq":1', b'"seq":"1"', 1): "fields",
    GOOD.replace(b'"seq":1', b'"seq":-1', 1): "fields",
    GOOD.replace(b'"seq":1', b'"seq":16777216', 1): "fields",
    GOOD.replace(b'"seq":1', b'"seq":1e0', 1): "fields",
    GOOD.replace(b"0a1b2c3d", b"0A1B2C3D", 1): "fields",
    GOOD.replace(b"0a1b2c3d", b"'; DROP", 1): "fields",
    GOOD[:-1] + b',"face":"/9j/4AAQ"}': "fields",
    GOOD[:-1]: "json",
    GOOD.replace(b'"v":1', b'"v":2', 1): "fields",
    b"x" * (MAX_BYTES + 1): "size",
    b'"\\ud800"': "json",
}


@pytest.mark.parametrize("payload", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_payloads(payload: bytes) -> None:
    found = examine(Incoming(TOPIC, payload, 0))
    assert isinstance(found, Refusal)
    assert (found.device, found.reason) == ("box-7", HOSTILE[payload])


@pytest.mark.parametrize(
    "topic",
    [None, "", "fleeting/1/d/box-7/meta", "fleeting/1/d/box-7/summary/x", "fleeting/1/d//summary",
     "fleeting/1/d/a b/summary", "fleeting/1/d/+/summary", "fleeting/1/d/b\u00f6x/summary",
     f"fleeting/1/d/{'x' * 65}/summary", "fleeting/2/d/box-7/summary",
     "fleeting/1/d/box-7/summary\n", "$SYS/broker/version", "fleeting/1/d/../summary",
     "fleeting/1/d/x\x00/summary"],
)  # fmt: skip
def test_topics_that_name_no_device(topic: str | None) -> None:
    found = examine(Incoming(topic, GOOD, 0))
    assert isinstance(found, Refusal)
    assert (found.device, found.reason) == ("", "topic")


def test_a_message_of_ours() -> None:
    found = examine(Incoming(TOPIC, GOOD, 0))
    assert isinstance(found, Message)
    assert (found.device, found.kind, found.content.seq) == ("box-7", "summary", 1)


@given(st.binary(max_size=300), st.sampled_from(["summary", "event", "receipt", "health"]))
def test_no_bytes_do_more_than_be_refused(payload: bytes, kind: str) -> None:
    assert isinstance(examine(Incoming(f"fleeting/1/d/x/{kind}", payload, 0)), Refusal)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["v", "boot", "seq", "window", "slot", "visits", "heard"]), inner),
    max_leaves=20,
))  # fmt: skip
def test_no_json_does_either(value: object) -> None:
    payload = json.dumps(value).encode()
    assert isinstance(examine(Incoming(TOPIC, payload, 0)), Refusal)


@given(st.binary(max_size=200))
def test_what_is_kept_is_printable_ascii(payload: bytes) -> None:
    text = escaped(payload)
    assert text.isascii()
    assert text.isprintable()
