"""Remote settings: validated path by path, refused with a reason, never clamped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.base.config import AgentConfig, parse
from agent.base.errors import ConfigError, StoreError
from agent.base.report import EventCode, Rejected
from agent.privacy.policy.rules import resolve
from agent.uplink.settings import DesiredState, RemoteControl, parse_desired, resolve_desired
from agent.uplink.strict_json import MalformedError
from agent.wall.remote_settings import Patch, Settings, read, write
from tests.fakes import full_disk


def shop(folder: Path | None = None, **privacy: Any) -> AgentConfig:
    """A shop in the EU: k at least 10, windows of at least 300 s."""
    store = {"outbox": str((folder or Path("/nowhere")) / "outbox.db")}
    return parse({"store": store, "privacy": privacy}, "test")


def desired(version: int, **config: Any) -> DesiredState:
    return parse_desired({"version": version, "config": config})


class Counted(list[EventCode]):
    def __call__(self, code: EventCode, times: int = 1) -> None:
        self.extend([code] * times)


@pytest.mark.parametrize(
    ("config", "refused"),
    [
        ({"privacy": {"k": 12, "window": 900}}, {}),
        ({"privacy": {"k": True}}, {"privacy.k": "wrong_value"}),
        ({"privacy": {"k": 12.0}}, {"privacy.k": "wrong_value"}),
        ({"privacy": {"k": "12"}}, {"privacy.k": "wrong_value"}),
        ({"privacy": {"k": None}}, {"privacy.k": "wrong_value"}),
        ({"privacy": {"k": 0}}, {"privacy.k": "wrong_value"}),
        ({"privacy": {"k": 101}}, {"privacy.k": "wrong_value"}),
        ({"privacy": {"window": 901}}, {"privacy.window": "wrong_value"}),
        ({"privacy": {"window": 900.0}}, {"privacy.window": "wrong_value"}),
        ({"micro": {"enabled": 1}}, {"micro.enabled": "wrong_value"}),
        ({"mqtt": {"discovery": []}}, {"mqtt.discovery": "wrong_value"}),
        ({"detection": {"tiles": 5}}, {"detection.tiles": "wrong_value"}),
        ({"privacy": {"epsilon": 9.0}}, {"other": "not_remote"}),
        ({"privacy": {"policy": "demo"}}, {"other": "not_remote"}),
        ({"device": {"place": "workplace"}}, {"other": "not_remote"}),
        ({"mqtt": {"host": "evil.example"}}, {"other": "not_remote"}),
        ({"models": "/tmp"}, {"other": "not_remote"}),
        ({"privacy": 7}, {"other": "wrong_value"}),
        ({"privacy": {"who": 7}}, {"other": "unknown_key"}),
        ({"a free text that somebody wants repeated": {}}, {"other": "unknown_key"}),
    ],
)
def test_each_path_is_judged_by_itself(config: dict[str, Any], refused: dict[str, str]) -> None:
    found = parse_desired({"version": 1, "config": config | {"tracking": {"max_faces": 7}}})
    assert found.refused == refused
    assert found.patch.tracking.max_faces == 7  # the rest of the document still counts
    taken = {name for name, section in found.patch.model_dump(exclude_none=True).items() if section}
    assert taken == {"tracking", *(config if not refused else ())}


@pytest.mark.parametrize(
    "document",
    [
        None, 7, [], "x", {}, {"version": 1}, {"config": {}}, {"version": 1, "config": []},
        {"version": True, "config": {}}, {"version": 1.0, "config": {}},
        {"version": "1", "config": {}}, {"version": 0, "config": {}},
        {"version": -1, "config": {}}, {"version": 2**31, "config": {}},
    ],
)  # fmt: skip
def test_what_is_no_desired_state_is_refused_whole(document: Any) -> None:
    with pytest.raises(MalformedError):
        parse_desired(document)


def test_an_unknown_key_beside_the_settings_is_named_but_stops_nothing() -> None:
    found = parse_desired({"version": 1, "config": {"privacy": {"k": 20}}, "token": "abc"})
    assert found.refused == {"other": "unknown_key"}
    assert found.patch.privacy.k == 20


def test_weaker_than_the_policy_is_refused_and_never_clamped() -> None:
    asked = Patch.model_validate({"privacy": {"k": 9, "window": 60}, "tracking": {"max_faces": 3}})
    patch, refused = resolve_desired(shop(), asked, Patch())
    assert refused == {
        "privacy.k": "weaker_than_policy", "privacy.window": "weaker_than_policy"
    }  # fmt: skip
    assert patch == Patch.model_validate({"tracking": {"max_faces": 3}})


def test_the_device_wins_over_its_group_key_by_key() -> None:
    own = Patch.model_validate({"privacy": {"k": 30}})
    group = Patch.model_validate({"privacy": {"k": 20, "window": 3600}})
    patch, refused = resolve_desired(shop(), own, group)
    assert (patch.privacy.k, patch.privacy.window, refused) == (30, 3600, {})


def test_where_the_own_value_is_refused_the_groups_holds() -> None:
    own = Patch.model_validate({"privacy": {"k": 2}})
    group = Patch.model_validate({"privacy": {"k": 20}})
    patch, refused = resolve_desired(shop(), own, group)
    assert patch.privacy.k == 20
    assert refused == {"privacy.k": "weaker_than_policy"}


def test_newer_documents_replace_and_older_ones_change_nothing(tmp_path: Path) -> None:
    count, config = Counted(), shop(tmp_path)
    control = RemoteControl(config, count)
    control.set_desired(desired(5, privacy={"k": 30}), "own")
    assert (control.settings.version, control.config.privacy.k) == (5, 30)
    before = config.store.settings.read_bytes()
    for version in (5, 4, 1):
        control.set_desired(desired(version, privacy={"k": 40}), "own")
    assert config.store.settings.read_bytes() == before
    assert count == ["settings_refused", "settings_refused"]  # the same again is no refusal
    control.set_desired(desired(6, tracking={"max_faces": 9}), "own")
    assert control.config.privacy.k is None  # no longer desired
    assert control.reported.config.privacy.k == 10  # the policy's own
    assert control.reported.config.tracking.max_faces == 9


def test_versions_of_group_and_device_are_counted_apart(tmp_path: Path) -> None:
    control = RemoteControl(shop(tmp_path), Counted())
    control.set_desired(desired(50, privacy={"k": 20}), "defaults")
    control.set_desired(desired(2, privacy={"window": 3600}), "own")
    found = control.reported
    assert (found.version, found.defaults) == (2, 50)
    assert (found.config.privacy.k, found.config.privacy.window) == (20, 3600)


def test_refusals_are_reported_once_per_path_and_survive_a_restart(tmp_path: Path) -> None:
    config = shop(tmp_path)
    control = RemoteControl(config, Counted())
    control.set_desired(
        desired(1, privacy={"k": 2, "epsilon": 3}, x={}, tracking={"max_faces": 0}), "own"
    )
    control.set_desired(desired(1, privacy={"k": True, "window": 10}), "defaults")
    expected = (
        Rejected(path="privacy.k", reason="wrong_value"),
        Rejected(path="privacy.window", reason="weaker_than_policy"),
        Rejected(path="tracking.max_faces", reason="wrong_value"),
        Rejected(path="other", reason="not_remote"),
    )
    assert control.reported.rejected == expected
    again = RemoteControl(config, Counted())
    assert again.reported == control.reported
    again.set_desired(desired(1, privacy={"k": 50}), "own")  # the retained document comes again
    assert again.reported == control.reported


def test_a_stricter_policy_on_site_drops_what_was_allowed_before(tmp_path: Path) -> None:
    before = RemoteControl(shop(tmp_path, policy="research-consented"), Counted())
    before.set_desired(desired(3, privacy={"k": 4}, tracking={"max_faces": 5}), "own")
    assert before.reported.config.privacy.k == 4
    after = RemoteControl(shop(tmp_path), Counted())
    assert after.reported.config.privacy.k == 10
    assert after.reported.rejected == (Rejected(path="privacy.k", reason="weaker_than_policy"),)
    in_file = read(shop(tmp_path).store.settings)
    assert in_file.patch == Patch.model_validate({"tracking": {"max_faces": 5}})
    assert in_file.version == 3


@pytest.mark.parametrize(
    "content", [b"", b"{}x", b"\xff" * 40, b'{"v":1,"patch":{"k":1}}', b" " * 9999]
)
def test_a_damaged_file_is_survived_and_written_again(tmp_path: Path, content: bytes) -> None:
    config = shop(tmp_path)
    config.store.settings.write_bytes(content)
    count = Counted()
    control = RemoteControl(config, count)
    assert control.settings == Settings()
    assert count == ["settings_refused"]
    control.tick(0.0)
    assert read(config.store.settings) == Settings()
    control.set_desired(desired(7, privacy={"k": 30}), "own")  # the broker brings it again
    assert read(config.store.settings).patch.privacy.k == 30


def test_a_file_lost_or_changed_by_another_is_written_again(tmp_path: Path) -> None:
    config = shop(tmp_path)
    control = RemoteControl(config, Counted())
    control.set_desired(desired(7, privacy={"k": 30}), "own")
    config.store.settings.unlink()
    control.tick(1.0)
    assert read(config.store.settings) == control.settings
    write(config.store.settings, Settings(paused=True))
    control.tick(1000.0)
    assert read(config.store.settings) == control.settings


def test_a_full_disk_keeps_a_desired_state_waiting_and_the_old_settings_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = shop(tmp_path)
    control = RemoteControl(config, Counted())
    control.set_desired(desired(1, privacy={"k": 20}), "own")

    with monkeypatch.context() as broken:
        broken.setattr("agent.wall.remote_settings.write_atomically", full_disk)
        control.set_desired(desired(3, privacy={"k": 30}), "own")
        control.set_desired(desired(2, privacy={"k": 40}), "own")  # older than the pending one
        with pytest.raises(StoreError):
            control.set_paused(True)
        control.tick(100.0)
        assert (control.settings.version, control.config.privacy.k) == (1, 20)
        assert not control.settings.paused
    control.tick(200.0)
    assert (control.settings.version, control.config.privacy.k) == (3, 30)
    assert read(config.store.settings) == control.settings


def test_a_policy_that_cannot_be_asked_any_more_keeps_what_is_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The profile file is removed at run time."""
    control = RemoteControl(shop(tmp_path), Counted())
    control.set_desired(desired(1, privacy={"k": 20}), "own")
    with monkeypatch.context() as gone:

        def refuse(*_: Any, **__: Any) -> None:
            raise ConfigError("the profile cannot be read.")

        gone.setattr("agent.uplink.settings.resolve", refuse)
        control.set_desired(desired(2, privacy={"k": 30}), "own")
        assert control.reported.config.privacy.k == 20
        assert control.settings.version == 1
    control.tick(1.0)
    assert (control.settings.version, control.reported.config.privacy.k) == (2, 30)


def test_what_is_in_force_satisfies_the_policy_whatever_is_desired(tmp_path: Path) -> None:
    control = RemoteControl(shop(tmp_path), Counted())
    version = 0
    for k in (1, 5, 9, 10, 11, 100):
        for window in (10, 60, 300, 900, 3600):
            version += 1
            control.set_desired(desired(version, privacy={"k": k, "window": window}), "own")
            policy = resolve(control.config, live=False)
            assert policy.k == (k if k >= 10 else 10)
            assert policy.window == (window if window >= 300 else 900)
