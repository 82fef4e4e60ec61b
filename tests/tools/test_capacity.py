"""The day's account: as promised, and told when it is not."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from agent.base.quotas import RESTARTS, windows
from agent.base.schemas import registry as schemas
from agent.base.settings_file import parse
from agent.uplink.warden.warden import Warden
from tools import capacity

KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
"""An Ed25519 public key (RFC 8032, section 7.1, test 1)."""

BUILD = schemas.build


def test_a_day_of_one_slot_is_smaller_than_one_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert capacity.main(["--slots", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    lines = {line["message"]: line for line in told["messages"]}
    assert set(lines) == {*schemas.MESSAGES, "state", "discovery"}
    assert lines["summary-1"]["bits"] <= 8 * 64
    assert lines["summary-1"]["a_day"] == windows(900) + RESTARTS == 98 + 24
    assert told["bytes_a_day"] == told["bytes_a_day_with_one_slot"] <= 14_336
    assert told["bytes_a_day"] == sum(line["bytes_a_day"] for line in lines.values())


def test_the_default_is_what_the_warden_enforces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert capacity.main(["--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    config = parse({"store": {"outbox": str(tmp_path / "o" / "outbox.db")}}, "test")
    warden = Warden(config, KEY, lambda code: None)
    assert told["quotas"] == asdict(warden.quotas)
    a_day = {line["message"]: line["a_day"] for line in told["messages"]}
    assert a_day["summary-1"] == 8 * (98 + 24)
    assert a_day["meta-1"] == warden.quotas.meta >= 5
    site = tmp_path / "site.toml"
    site.write_text("[privacy]\nwindow = 3600\n[content]\nslots = 2\n")
    assert capacity.main(["--config", str(site), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["quotas"]["summary"] == 2 * (windows(3600) + RESTARTS)


def test_with_microphone_or_words_a_summary_holds_half_as_much_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert capacity.main(["--slots", "1", "--hearing", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    lines = {line["message"]: line for line in told["messages"]}
    assert set(lines) == {*schemas.in_use(True), "state", "discovery"} - {"summary-1", "reported-1"}
    assert 8 * 64 < lines["summary-2"]["bits"] <= 8 * 96
    assert told["bytes_a_day"] <= 17_920
    site = tmp_path / "site.toml"
    site.write_text("[privacy]\nwords = true\n[content]\nslots = 1\n")
    assert capacity.main(["--config", str(site), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told, "a site that listens is counted as one"


def test_the_table_names_every_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert capacity.main(["--window", "300", "--slots", "2"]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in schemas.MESSAGES)
    assert "628" in table, "two slots in 290 windows and 24 cut short"


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
