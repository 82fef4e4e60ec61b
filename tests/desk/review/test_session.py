"""Opening and ending a session on the device."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.base.config import AgentConfig
from agent.base.errors import ConfigError
from agent.base.settings_file import parse
from agent.desk.review.errors import ReviewError
from agent.desk.review.session import begin, end, folder_of
from agent.perceive.traces.session import name_of, read_open


@pytest.fixture
def config(tmp_path: Path) -> AgentConfig:
    (tmp_path / "traces").mkdir(mode=0o700)
    return parse(
        {
            "device": {"region": "other", "place": "laboratory"},
            "privacy": {"policy": "research-consented", "consent": True},
            "store": {"outbox": str(tmp_path / "store" / "outbox.db")},
            "research": {"traces": str(tmp_path / "traces"), "key": str(tmp_path / "key")},
        },
        "x",
    )


def test_a_code_is_printed_once_and_stored_nowhere(
    config: AgentConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(config)
    assert begin(config, 30, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    found = read_open(folder)
    assert found is not None
    assert (found.name, found.seconds) == (said["session"], 1800)
    assert name_of(said["code"]) == found.name
    stored = b"".join(path.read_bytes() for path in folder.iterdir())
    assert said["code"].encode() not in stored
    assert said["code"].replace("-", "").encode() not in stored
    with pytest.raises(ReviewError, match="End it first"):
        begin(config, 30, as_json=True)
    assert end(config, as_json=False) == 0
    assert end(config, as_json=True) == 0
    out = capsys.readouterr().out
    assert "has ended" in out
    assert '{"ended": false}' in out
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("minutes", [0, -1, 481])
def test_no_session_without_an_end(config: AgentConfig, minutes: int) -> None:
    with pytest.raises(ReviewError, match="1 to 480"):
        begin(config, minutes, as_json=True)


def test_no_session_in_a_folder_that_others_see(config: AgentConfig) -> None:
    folder_of(config).chmod(0o755)
    with pytest.raises(ConfigError, match="chmod 700"):
        begin(config, 30, as_json=True)


def test_no_session_where_no_traces_are_kept_and_none_without_consent() -> None:
    with pytest.raises(ConfigError, match="keeps no traces"):
        folder_of(parse({"privacy": {"policy": "demo"}, "device": {"region": "other"}}, "x"))
    research = {"traces": "/var/lib/fleeting-traces", "key": "/etc/fleeting/r.pub"}
    device = {"region": "other", "place": "laboratory"}
    with pytest.raises(ConfigError, match="consent"):
        folder_of(
            parse({"device": device, "privacy": {"policy": "research-consented"},
                   "research": research}, "x")
        )  # fmt: skip


def test_a_folder_that_is_not_there_says_how(config: AgentConfig) -> None:
    folder_of(config).rmdir()
    with pytest.raises(ReviewError, match="sudo -u fleeting-perceive"):
        begin(config, 30, as_json=True)
