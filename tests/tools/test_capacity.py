"""The day's account: as promised, and told when it is not."""

from __future__ import annotations

import json

import pytest

from agent.base.schemas import registry as schemas
from tools import capacity


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


def test_a_wider_summary_breaks_the_promise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    honest = schemas.build

    def wider(name: str) -> dict[str, object]:
        schema = honest(name)
        schema["properties"]["slot"]["maximum"] = 2**40
        return schema

    monkeypatch.setattr(schemas, "build", lambda n: wider(n) if n == "summary-1" else honest(n))
    assert capacity.main([]) == 1
    assert "More than promised" in capsys.readouterr().err


def test_an_open_schema_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schemas, "build", lambda name: {"type": "object"})
    assert capacity.main([]) == 1
    assert "unknown keys" in capsys.readouterr().err
