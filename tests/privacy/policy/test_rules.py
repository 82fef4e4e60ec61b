"""Policies by region and place; weaker settings are refused."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from agent.base.config import AgentConfig
from agent.base.errors import ConfigError
from agent.base.settings_file import parse
from agent.base.vocabulary import PolicyName
from agent.privacy.policy.hearing import DEFAULT_ON, HEARING
from agent.privacy.policy.rules import INFERS_EMOTION, PROFILES, resolve


def settings(policy: str, device: dict[str, str] | None = None, **privacy: Any) -> AgentConfig:
    duties = {"notice_shown": True, "consent": True}
    return parse({"device": device or {}, "privacy": {"policy": policy, **duties, **privacy}}, "x")


def suitable(policy: PolicyName) -> AgentConfig:
    """A configuration that the profile accepts."""
    profile = PROFILES[policy]
    place = profile.places[0]
    return settings(policy, {"region": profile.regions[-1], "place": place})


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_runs_somewhere_with_its_own_defaults(name: PolicyName) -> None:
    policy, profile = resolve(suitable(name)), PROFILES[name]
    assert (policy.k, policy.window) == (profile.k, profile.window)
    assert [cell for cell in policy.cells if cell not in HEARING] == list(profile.cells)
    assert policy.listens == (name in DEFAULT_ON)
    spent = sum((policy.epsilon(cell) for cell in policy.cells), Fraction(0))
    assert spent == Fraction(policy.epsilon_milli, 1000), "the parts add up to the whole"


@pytest.mark.parametrize("place", ["workplace", "education"])
@pytest.mark.parametrize("name", [n for n in PROFILES if INFERS_EMOTION & set(PROFILES[n].cells)])
def test_emotion_at_work_or_school_in_the_eu_is_refused_with_the_reason(
    name: PolicyName, place: str
) -> None:
    """Even with consent, a notice or a recording."""
    for live in (True, False):
        with pytest.raises(ConfigError, match=r"AI Act, Article 5\(1\)\(f\).*classroom") as refused:
            resolve(settings(name, {"region": "eu", "place": place}), live=live)
        assert refused.value.exit_code == 78


def test_a_us_store_needs_its_state_or_consent() -> None:
    store = {"region": "us", "place": "retail"}
    with pytest.raises(ConfigError, match="Illinois, Texas, Washington"):
        resolve(settings("retail-us-notice", store, consent=False))
    assert resolve(settings("retail-us-notice", store, consent=True)).name == "retail-us-notice"
    assert resolve(settings("retail-us-notice", store, consent=False), live=False)
    abroad = {"region": "other", "place": "retail"}
    assert resolve(settings("retail-us-notice", abroad, consent=False)).region == "other"


@pytest.mark.parametrize("place", ["workplace", "education", "retail", "home"])
def test_the_classroom_profile_counts_anywhere_and_infers_no_emotion(place: str) -> None:
    policy = resolve(settings("classroom", {"region": "eu", "place": place}))
    assert policy.cells == ("visits", "passing", "attention", "dwell")
    assert policy.epsilon("visits") == Fraction(2, 5)


def test_a_live_source_needs_the_notice_and_a_recording_does_not() -> None:
    bare = parse({"privacy": {"policy": "retail-eu"}}, "x")
    with pytest.raises(ConfigError, match="notice"):
        resolve(bare)
    assert resolve(bare, live=False).k == 10


def test_research_needs_consent() -> None:
    with pytest.raises(ConfigError, match="consent"):
        resolve(settings("research-consented", {"place": "laboratory"}, consent=False))


@pytest.mark.parametrize(("key", "value"), [("k", 9), ("epsilon", 1.5), ("window", 60)])
def test_settings_weaker_than_the_limits_are_refused_not_clamped(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"privacy.{key}"):
        resolve(settings("retail-eu", **{key: value}))


def test_stricter_settings_are_taken() -> None:
    policy = resolve(settings("retail-eu", k=25, epsilon=0.5, window=3600))
    assert (policy.k, policy.epsilon_milli, policy.window) == (25, 500, 3600)


@pytest.mark.parametrize(
    ("asked", "milli"), [(0.999, 990), (0.29, 290), (0.57, 570), (0.01, 10), (1.0, 1000)]
)
def test_epsilon_is_published_in_hundredths_rounded_down(asked: float, milli: int) -> None:
    assert resolve(settings("retail-eu", epsilon=asked)).epsilon_milli == milli


def test_a_zone_that_is_no_polygon_is_refused() -> None:
    bow = [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]
    with pytest.raises(ConfigError, match=r"privacy\.staff_zones\[0\].*edge 0 meets its edge 2"):
        resolve(settings("retail-eu", staff_zones=[bow]))


def test_a_profile_for_another_region_or_place_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"device\.region"):
        resolve(settings("retail-us-notice", {"region": "eu"}))
    with pytest.raises(ConfigError, match=r"device\.place"):
        resolve(settings("medical-safety", {"place": "retail"}))


@pytest.mark.parametrize("host", ["broker.example", "10.0.0.7", "127.0.0.1.example", "127.evil"])
def test_the_demo_profile_talks_to_this_machine_only(host: str) -> None:
    with pytest.raises(ConfigError, match="may not leave this machine"):
        resolve(parse({"privacy": {"policy": "demo"}, "mqtt": {"host": host}}, "x"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.3.2.1", "::1"])
def test_the_demo_profile_adds_no_noise_on_loopback(host: str) -> None:
    policy = resolve(parse({"privacy": {"policy": "demo"}, "mqtt": {"host": host}}, "x"))
    assert (policy.k, policy.epsilon_milli, policy.noised) == (1, 0, False)


def test_the_hash_names_the_rules_in_force() -> None:
    one, same = (resolve(settings("retail-eu")) for _ in range(2))
    others = [
        resolve(settings("retail-eu", k=11)),
        resolve(settings("retail-eu", epsilon=0.9)),
        resolve(settings("retail-eu", {"region": "other"})),
        resolve(settings("retail-eu", quiet_hours=["22:00-06:00"])),
        resolve(settings("retail-eu", staff_zones=[[[0, 0], [0.5, 0], [0, 0.5]]])),
    ]
    assert one.hash == same.hash
    assert len({one.hash, *(each.hash for each in others)}) == 6
    assert len(one.hash) == 16
