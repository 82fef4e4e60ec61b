from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from agent.base.config import AgentConfig, remote_fields
from agent.base.errors import ConfigError
from agent.base.report import HeardSettings, RemoteSettings
from agent.base.report.device import RemotePath
from agent.base.settings_file import as_toml, load, parse


def test_the_defaults_stand_alone_and_are_frozen() -> None:
    config = AgentConfig()
    with pytest.raises(ValueError, match="frozen"):
        config.device = config.device  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[micro]\nminfps = 30.0", "micro.minfps: unknown key"),
        ('[privacy]\nengine = "own"', "privacy.engine is gone: .* remove the key"),
        ("[privacy]\nengine = 3", "privacy.engine is gone: .* remove the key"),
        ("colour = true", "colour: unknown key"),
        ('[source]\nstall = "5 s"', "plain number"),
        ("[source]\nstall = 5000.0", "source.stall"),
        ('[device]\nid = "a/b"', "device.id"),
        ('[device]\nid = "+"', "device.id"),
        ("[privacy]\nwindow = 61", "privacy.window"),
        ("[mqtt]\nport = 70000", "mqtt.port"),
        ('[mqtt]\ncert_file = "x.pem"', "tls = true"),
        ('[mqtt]\ntls = true\ncert_file = "x.pem"', "go together"),
        ("[tracking]\nmax_faces = true", "tracking.max_faces"),
        ("[source", "not valid TOML"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "fleeting.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        load(file)
    assert str(file) in str(caught.value)


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"micro": {"x": 1}, "source": {"y": 2}}, "here")
    assert "micro.x" in str(caught.value)
    assert "source.y" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothere\.toml"):
        load(tmp_path / "nothere.toml")


def test_paths_may_be_written_as_text(tmp_path: Path) -> None:
    config = parse({"store": {"outbox": "/data/outbox.db"}, "models": "/data/models"}, "here")
    assert config.store.outbox == Path("/data/outbox.db")
    assert config.models == Path("/data/models")


def test_there_are_two_sets_of_models() -> None:
    assert parse({}, "here").model_set == "research"
    assert parse({"model_set": "clean"}, "here").model_set == "clean"
    with pytest.raises(ConfigError, match="model_set"):
        parse({"model_set": "cleaner"}, "here")


def test_what_is_shown_can_be_loaded_again(tmp_path: Path) -> None:
    config = parse(
        {
            "device": {"id": "kiosk-7"},
            "source": {"target": 'v4l2src ! "x" \\ appsink', "kind": "gstreamer"},
            "mqtt": {"tls": True, "ca_file": "/etc/ca.pem"},
        },
        "here",
    )
    file = tmp_path / "fleeting.toml"
    file.write_text(as_toml(config))
    assert load(file) == config


IN_FORCE: dict[str, dict[str, Any]] = {
    "detection": {"tiles": 1},
    "micro": {"enabled": True},
    "mqtt": {"discovery": False},
    "privacy": {"k": 10, "window": 60, "microphone": False, "words": False},
    "tracking": {"max_faces": 40},
}
VALUES = (True, False, "1", *range(-1, 302), 900, 3600, 3601)


def test_what_a_fleet_may_set_is_what_a_device_can_report() -> None:
    """By the second form; the first leaves out what a site without them never has on."""
    heard = {"privacy.microphone", "privacy.words"}
    assert set(remote_fields()) == {*get_args(RemotePath), *heard}
    first = RemoteSettings.model_json_schema()["$defs"]["Privacy"]["properties"]
    assert set(IN_FORCE["privacy"]) - set(first) == {"microphone", "words"}
    for section, key in (path.split(".") for path in remote_fields()):
        for value in VALUES:
            data = {**IN_FORCE, section: {**IN_FORCE[section], key: value}}
            reportable = accepts(HeardSettings.model_validate, data)
            assert accepts(lambda it: parse(it, "here"), data) == reportable, (section, key, value)


def accepts(check: Callable[[dict[str, Any]], object], data: dict[str, Any]) -> bool:
    try:
        check(data)
    except (ConfigError, ValidationError):
        return False
    return True
