"""Remote settings: validated path by path, refused with a reason, never clamped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agent.base.config import AgentConfig, remote_fields
from agent.base.errors import ConfigError, StoreError
from agent.base.report import EventCode, HeardReported, Rejected, Reported, to_json
from agent.base.settings_file import parse
from agent.privacy.policy.rules import resolve
from agent.privacy.policy.signing import make_key, sign_profile
from agent.privacy.policy.site import STRICTER as RULES
from agent.privacy.policy.site import site_values, weaker_than_site
from agent.uplink.settings import (
    MAX_JUMP,
    DesiredState,
    Origin,
    RemoteControl,
    in_force,
    parse_desired,
    resolve_desired,
)
from agent.uplink.strict_json import MalformedError
from agent.wall.remote_settings import Patch, Settings, apply, nested, read, write
from tests.fakes import full_disk


def shop(folder: Path | None = None, **privacy: Any) -> AgentConfig:
    """A shop in the EU: k at least 10, windows of at least 300 s."""
    store = {"outbox": str((folder or Path("/nowhere")) / "outbox.db")}
    return parse({"store": store, "privacy": privacy}, "test")


def desired(version: int, **config: Any) -> DesiredState:
    return parse_desired({"version": version, "config": config})


def refusals(control: RemoteControl) -> list[tuple[str, str]]:
    return [(each.path, each.reason) for each in control.reported.rejected]


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
    before.set_desired(desired(3, privacy={"k": 6}, tracking={"max_faces": 5}), "own")
    assert before.reported.config.privacy.k == 6
    count = Counted()
    after = RemoteControl(shop(tmp_path), count)
    assert after.reported.config.privacy.k == 10
    assert after.reported.rejected == (Rejected(path="privacy.k", reason="weaker_than_policy"),)
    assert count == ["settings_refused"]
    in_file = read(shop(tmp_path).store.settings)
    assert in_file.patch == Patch.model_validate({"tracking": {"max_faces": 5}})
    assert in_file.version == 3


SITE = {
    "detection": {"tiles": 2},
    "micro": {"enabled": False},
    "mqtt": {"discovery": False},
    "privacy": {"k": 50, "window": 900},
    "tracking": {"max_faces": 8},
}


def site(folder: Path, **sections: Any) -> AgentConfig:
    config = {**SITE, "store": {"outbox": str(folder / "outbox.db")}, **sections}
    return parse(config, "test")


WEAKER: list[tuple[str, Any]] = [
    ("detection.tiles", 3), ("detection.tiles", 4), ("micro.enabled", True),
    ("mqtt.discovery", True), ("privacy.k", 49), ("privacy.k", 10), ("privacy.window", 300),
    ("tracking.max_faces", 9), ("tracking.max_faces", 200),
]  # fmt: skip
STRICTER: list[tuple[str, Any]] = [
    ("detection.tiles", 2), ("detection.tiles", 0), ("micro.enabled", False),
    ("mqtt.discovery", False), ("privacy.k", 50), ("privacy.k", 100), ("privacy.window", 900),
    ("privacy.window", 3600), ("tracking.max_faces", 8), ("tracking.max_faces", 1),
]  # fmt: skip


@pytest.mark.parametrize("origin", ["own", "defaults"])
@pytest.mark.parametrize(("path", "value"), WEAKER)
def test_nothing_weaker_than_the_sites_own_file_is_taken(
    tmp_path: Path, path: str, value: Any, origin: Origin
) -> None:
    count, config = Counted(), site(tmp_path)
    control = RemoteControl(config, count)
    before = control.reported.config
    section, _, key = path.partition(".")
    control.set_desired(desired(1, **{section: {key: value}}), origin)
    assert control.config == config
    assert control.reported.config == before
    (rejected,) = control.reported.rejected
    assert (rejected.path, rejected.reason) == (path, "weaker_than_site")
    assert count == ["settings_refused"]
    assert read(config.store.settings).patch == Patch()


@pytest.mark.parametrize(("path", "value"), STRICTER)
def test_whatever_is_stricter_than_the_sites_own_file_is_taken(
    tmp_path: Path, path: str, value: Any
) -> None:
    control = RemoteControl(site(tmp_path), Counted())
    section, _, key = path.partition(".")
    control.set_desired(desired(1, **{section: {key: value}}), "own")
    assert control.reported.rejected == ()
    assert getattr(getattr(control.config, section), key) == value


def test_where_the_site_says_nothing_its_policys_default_is_the_limit(tmp_path: Path) -> None:
    # Lower than the default and still within the policy, whose least k is 3, least window 60 s.
    control = RemoteControl(shop(tmp_path, policy="research-consented"), Counted())
    control.set_desired(
        desired(1, privacy={"k": 4, "window": 60}, detection={"tiles": 2}), "defaults"
    )
    assert control.reported.rejected == tuple(
        Rejected(path=path, reason="weaker_than_site")
        for path in ("detection.tiles", "privacy.k", "privacy.window")
    )
    assert (control.reported.config.privacy.k, control.reported.config.privacy.window) == (5, 300)


def test_a_profile_file_raises_the_limit(tmp_path: Path) -> None:
    key, profile = tmp_path / "key", tmp_path / "profile.toml"
    profile.write_text('extends = "retail-eu"\nmin_k = 30\nmin_window = 3600\n')
    public = make_key(key)
    sign_profile(key, profile)
    config = shop(tmp_path, profile=str(profile), profile_key=str(public))
    control = RemoteControl(config, Counted())
    control.set_desired(desired(1, privacy={"k": 29, "window": 900}), "own")
    assert (control.reported.config.privacy.k, control.reported.config.privacy.window) == (30, 3600)


def test_a_site_file_that_became_stricter_holds_against_what_was_stored(tmp_path: Path) -> None:
    before = RemoteControl(shop(tmp_path), Counted())
    before.set_desired(
        desired(1, privacy={"k": 20, "window": 900}, tracking={"max_faces": 30}), "own"
    )
    before.set_desired(desired(1, privacy={"k": 15}), "defaults")
    assert before.reported.rejected == ()
    after = RemoteControl(site(tmp_path, privacy={"k": 50, "window": 3600}), Counted())
    assert after.config == site(tmp_path, privacy={"k": 50, "window": 3600})
    assert read(after.config.store.settings).patch == Patch()
    assert {each.path for each in after.reported.rejected} == {
        "privacy.k", "privacy.window", "tracking.max_faces"
    }  # fmt: skip


def test_a_fleet_switches_the_microphone_off_and_not_on(tmp_path: Path) -> None:
    loud = RemoteControl(shop(tmp_path, microphone=True), Counted())
    heard = loud.reported
    assert isinstance(heard, HeardReported)
    assert (heard.config.privacy.microphone, heard.config.privacy.words) == (True, False)
    loud.set_desired(desired(1, privacy={"microphone": False, "words": True}), "own")
    assert not resolve(loud.config, live=False).listens
    heard = loud.reported
    assert isinstance(heard, HeardReported), "the form is the site's"
    assert (heard.config.privacy.microphone, heard.config.privacy.words) == (False, False)
    assert refusals(loud) == [("other", "weaker_than_site")], "words, which the site has off"
    loud.set_desired(desired(2), "own")
    assert resolve(loud.config, live=False).hears, "as the site has it"


def test_where_a_site_does_not_listen_the_fleet_is_told_as_before(tmp_path: Path) -> None:
    control = RemoteControl(shop(tmp_path), Counted())
    control.set_desired(desired(1, privacy={"microphone": False, "words": False}), "own")
    assert type(control.reported) is Reported
    assert b"microphone" not in to_json(control.reported)
    assert control.reported.rejected == ()
    control.set_desired(desired(2, privacy={"microphone": True, "words": 1}), "own")
    assert not resolve(control.config, live=False).listens
    assert refusals(control) == [("other", "wrong_value")], "the first of several"
    (tmp_path / "room").mkdir()
    rooms = parse(
        {
            "device": {"place": "education"},
            "privacy": {"policy": "classroom"},
            "store": {"outbox": str(tmp_path / "room" / "outbox.db")},
        },
        "test",
    )
    room = RemoteControl(rooms, Counted())
    room.set_desired(desired(1, privacy={"microphone": True}), "own")
    assert refusals(room) == [("other", "weaker_than_policy")]
    assert not resolve(room.config, live=False).listens


def test_every_remote_setting_has_a_rule() -> None:
    assert set(RULES) == set(remote_fields()) == set(site_values(AgentConfig()))
    assert weaker_than_site(AgentConfig(), {"privacy.epsilon": 1}) == {"privacy.epsilon"}


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "detection.tiles": st.integers(0, 4),
            "micro.enabled": st.booleans(),
            "mqtt.discovery": st.booleans(),
            "privacy.k": st.integers(1, 100),
            "privacy.window": st.sampled_from([10, 60, 300, 900, 3600]),
            "tracking.max_faces": st.integers(1, 200),
        },
    ),
    st.integers(10, 100),
    st.sampled_from([300, 900, 3600]),
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_what_is_in_force_is_never_weaker_than_the_site(
    wished: dict[str, Any], k: int, window: int
) -> None:
    """By another statement of the rules than the code's."""
    config = site(Path("/nowhere"), privacy={"k": k, "window": window})
    patch, refused = resolve_desired(config, Patch.model_validate(nested(wished)), Patch())
    found = in_force(apply(config, patch), listens=False)
    assert found.privacy.k == max(k, wished.get("privacy.k", 0))
    assert found.privacy.window == max(window, wished.get("privacy.window", 0))
    assert found.tracking.max_faces == min(8, wished.get("tracking.max_faces", 200))
    assert found.detection.tiles == min(2, wished.get("detection.tiles", 4))
    assert (found.micro.enabled, found.mqtt.discovery) == (False, False)
    assert set(refused) == set(wished) - set(patch.values())


@pytest.mark.parametrize("origin", ["own", "defaults"])
def test_a_version_far_ahead_is_refused_and_locks_nobody_out(
    tmp_path: Path, origin: Origin
) -> None:
    count = Counted()
    control = RemoteControl(shop(tmp_path), count)
    for version in (2**31 - 1, 2**20 + 1):  # the first is judged as well
        control.set_desired(desired(version, privacy={"k": 20}), origin)
        assert control.config.privacy.k is None
        assert refusals(control) == [("other", "version_jump")]
    assert count == ["settings_refused"] * 2
    control.set_desired(desired(2**20, privacy={"k": 21}), origin)
    assert control.config.privacy.k == 21
    assert refusals(control) == []
    control.set_desired(desired(2**21 + 1, privacy={"k": 22}), origin)
    assert control.config.privacy.k == 21
    assert refusals(control) == [("other", "version_jump")]
    control.set_desired(desired(2**20 + 1, privacy={"k": 23}), origin)
    assert control.config.privacy.k == 23


def test_versions_pushed_to_the_highest_step_by_step_lock_nobody_out(tmp_path: Path) -> None:
    control = RemoteControl(shop(tmp_path), Counted())
    version = 0
    while version < 2**31 - 1:
        version = min(version + MAX_JUMP, 2**31 - 1)
        control.set_desired(desired(version, privacy={"k": 20}), "own")
    assert control.reported.version == 2**31 - 1
    again = RemoteControl(shop(tmp_path), Counted())
    again.set_desired(desired(1, privacy={"k": 30}), "own")  # the next after the highest
    assert (again.reported.version, again.config.privacy.k) == (1, 30)
    again.set_desired(desired(2**31 - 1, privacy={"k": 20}), "own")  # is older now
    assert (again.reported.version, again.config.privacy.k) == (1, 30)


def test_without_its_settings_file_a_device_counts_from_the_start(tmp_path: Path) -> None:
    config = shop(tmp_path)
    write(config.store.settings, Settings(version=1_700_000_000, defaults_version=2**31 - 1))
    stuck = RemoteControl(config, Counted())
    stuck.set_desired(desired(4, privacy={"k": 30}), "own")
    assert stuck.config.privacy.k is None
    config.store.settings.unlink()  # while the uplink is stopped
    control = RemoteControl(config, Counted())
    control.set_desired(desired(2**31 - 1, privacy={"k": 90}), "defaults")  # still retained
    control.set_desired(desired(4, privacy={"k": 30}), "own")
    assert (control.reported.version, control.reported.defaults) == (4, 0)
    assert control.config.privacy.k == 30


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
            assert policy.k == max(k, 10)
            assert policy.window == max(window, 900)
