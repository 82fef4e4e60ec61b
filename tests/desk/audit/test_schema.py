"""The second opinion on messages agrees with the models, and sees what they must not say."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.report import to_json
from agent.desk.audit.schema import problem
from agent.desk.audit.wire import schemas
from tests.summaries import summary

SCHEMA = schemas()["summary"]
BODY = to_json(summary(3))


@given(st.integers(0, 999))
def test_every_honest_summary_is_as_its_schema_allows(seq: int) -> None:
    assert problem(SCHEMA, to_json(summary(seq))) is None


def changed(**fields: object) -> bytes:
    return json.dumps({**json.loads(BODY), **fields}, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (changed(note="hello"), "unknown key"),
        (changed(seq=-1), "out of bounds"),
        (changed(seq=True), "is no integer"),
        (changed(seq=1.0), "is no integer"),
        (changed(boot="0A1B2C3D"), "is not allowed"),
        (changed(boot="0a1b2c3d\n"), "is not allowed"),
        (changed(policy="mine"), "none of the allowed"),
        (changed(v=2), "not 1"),
        (changed(withheld=[[1, 2]] * 50), "an array of 50"),
        (BODY.replace(b'"seq":3', b'"seq": 3'), "the one form"),
        (BODY.replace(b'"seq":3', b'"seq":3,"seq":3'), "stands twice"),
        (BODY.replace(b'{"v":1,', b"{") [:-1] + b',"v":1}', "order"),
        (BODY.replace(b'"seq":3', b'"seq":NaN'), "no JSON"),
        (b"[" * 100_000, "nested"),
        (b"\xff\xfe", "no JSON"),
        (b"", "no JSON"),
    ],
)  # fmt: skip
def test_everything_else_is_not(body: bytes, why: str) -> None:
    found = problem(SCHEMA, body)
    assert found is not None
    assert why in found


def test_a_schema_word_that_nobody_checks_is_no_permission() -> None:
    assert "nobody here can check" in str(problem({"type": "string", "format": "date"}, b'"x"'))
