"""The day's account: as promised, and told when it is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.base.schemas import registry as schemas
from tools import capacity

BUILD = schemas.build


def test_a_day_is_smaller_than_one_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert capacity.main(["--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    lines = {line["message"]: line for line in told["messages"]}
    assert set(lines) == {*schemas.MESSAGES, "state"}
    assert lines["summary-1"]["bits"] <= 8 * 64
    assert lines["summary-1"]["a_day"] == 96
    assert told["bytes_a_day"] == sum(line["bytes_a_day"] for line in lines.values()) <= 8192


def test_the_table_names_every_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert capacity.main(["--window", "300", "--slots", "2"]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in schemas.MESSAGES)
    assert "576" in table, "two slots in 288 windows"


def wider(name: str) -> dict[str, Any]:
    schema = BUILD(name)
    if name == "summary-1":
        schema["properties"]["slot"]["maximum"] = 2**40
    return schema


@pytest.mark.parametrize(
    ("build", "said"),
    [(wider, "More than promised"), (lambda name: {"type": "object"}, "unknown keys")],
)
def test_a_broken_promise_and_an_open_schema_are_told(
    build: Any, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schemas, "build", build)
    assert capacity.main([]) == 1
    assert said in capsys.readouterr().err
