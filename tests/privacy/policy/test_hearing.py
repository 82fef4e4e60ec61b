"""Microphone and words: where they may be on, and what they add."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any, get_args

import pytest

from agent.base.config import AgentConfig, remote_fields
from agent.base.errors import ConfigError
from agent.base.settings_file import parse
from agent.base.vocabulary import Cell, HeardCell, Place, PolicyName, Region
from agent.privacy.policy import profile
from agent.privacy.policy.hearing import DEFAULT_ON, HEARING, VOICE, WORDS
from agent.privacy.policy.rules import INFERS_EMOTION, PROFILES, WEIGHTS, resolve
from agent.privacy.policy.site import weaker_than_site

CHANNELS = ("microphone", "words")
ABROAD = {"region": "other", "place": "retail"}


OFF = {"microphone": False, "words": False}


def settings(policy: str, device: dict[str, str] | None = None, **privacy: Any) -> AgentConfig:
    duties = {"notice_shown": True, "consent": True}
    return parse({"device": device or {}, "privacy": {"policy": policy, **duties, **privacy}}, "x")


def somewhere(policy: PolicyName, **privacy: Any) -> AgentConfig:
    place = PROFILES[policy].places[0]
    return settings(policy, {"region": "other", "place": place}, **privacy)


@pytest.mark.parametrize("name", PROFILES)
def test_off_is_off_and_most_policies_have_them_off(name: PolicyName) -> None:
    off = resolve(somewhere(name, **OFF))
    assert not off.listens
    assert not HEARING.intersection(off.cells)
    assert (resolve(somewhere(name)).hash == off.hash) == (name not in DEFAULT_ON)


@pytest.mark.parametrize("name", ["demo", "research-consented"])
@pytest.mark.parametrize("region", get_args(Region))
def test_a_policy_may_have_them_on_by_default_and_a_site_can_switch_them_off(
    name: PolicyName, region: str
) -> None:
    device = {"region": region, "place": "laboratory"}
    policy = resolve(settings(name, device))
    assert policy.hears
    assert policy.reads
    deaf = resolve(settings(name, device, microphone=False))
    assert not deaf.hears
    assert deaf.reads
    assert not resolve(settings(name, device, microphone=False, words=False)).listens
    others = set(PROFILES) - {"demo", "research-consented"}
    assert not any(resolve(somewhere(each)).listens for each in others)


@pytest.mark.parametrize(
    ("asked", "hears", "reads"),
    [({"microphone": True}, True, False), ({"words": True}, False, True)],
)
def test_each_adds_its_own_cells_within_the_same_epsilon(
    asked: dict[str, bool], hears: bool, reads: bool
) -> None:
    policy = resolve(somewhere("research-consented", **{**OFF, **asked}))
    assert (policy.hears, policy.reads, policy.listens) == (hears, reads, True)
    assert set(VOICE).issubset(policy.cells) == hears
    assert set(WORDS).issubset(policy.cells) == reads
    assert {"fused", "channels"} <= set(policy.cells)
    spent = sum((policy.epsilon(cell) for cell in policy.cells), Fraction(0))
    assert spent == Fraction(policy.epsilon_milli, 1000)
    order = (*get_args(Cell), *get_args(HeardCell))
    assert list(policy.cells) == sorted(policy.cells, key=order.index)


def test_every_cell_has_a_share_and_every_reading_of_a_voice_is_emotion() -> None:
    assert set(WEIGHTS) == {*get_args(Cell), *get_args(HeardCell)}
    assert set(VOICE) - {"speech"} <= INFERS_EMOTION
    assert not set(WORDS) & INFERS_EMOTION, "text is not biometric"
    assert set(get_args(HeardCell)) < HEARING


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(
    ("region", "place"), list(itertools.product(get_args(Region), get_args(Place)))
)
@pytest.mark.parametrize("live", [True, False])
def test_a_classroom_never_admits_them(channel: str, region: str, place: str, live: bool) -> None:
    device = {"region": region, "place": place}
    asked = {channel: True, "notice_names": list(CHANNELS)}
    with pytest.raises(ConfigError, match=f"never admits privacy.{channel}"):
        resolve(settings("classroom", device, **asked), live=live)


@pytest.mark.parametrize("name", ["retail-eu", "retail-us-notice"])
@pytest.mark.parametrize("channel", CHANNELS)
def test_a_shop_admits_them_only_with_a_notice_that_names_them(name: str, channel: str) -> None:
    for named in ([], [other for other in CHANNELS if other != channel]):
        asked = settings(name, ABROAD, **{channel: True}, notice_names=named)
        with pytest.raises(ConfigError, match="only with a notice that names it") as refused:
            resolve(asked)
        assert f'notice_names = ["{channel}"]' in str(refused.value)
    asked = settings(name, ABROAD, **{channel: True}, notice_names=[channel])
    assert resolve(asked).listens
    unshown = settings(name, ABROAD, notice_shown=False, **{channel: True}, notice_names=[channel])
    with pytest.raises(ConfigError, match="needs a notice"):
        resolve(unshown)
    recorded = settings(name, ABROAD, **{channel: True})
    assert resolve(recorded, live=False).listens, "the duty was due when it was recorded"


@pytest.mark.parametrize("place", ["workplace", "education"])
@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("channel", CHANNELS)
def test_nothing_is_heard_or_read_at_work_or_school_in_the_eu(
    name: PolicyName, place: str, channel: str
) -> None:
    device = {"region": "eu", "place": place}
    with pytest.raises(ConfigError):
        resolve(settings(name, device, **{channel: True}, notice_names=list(CHANNELS)))


def with_profile(
    monkeypatch: pytest.MonkeyPatch, cells: list[str], device: dict[str, str], **privacy: Any
) -> AgentConfig:
    """Research under a profile file that leaves these cells beside visits."""
    text = f'extends = "research-consented"\ncells = {cells!r}\n'.encode()
    monkeypatch.setattr(profile, "read_owned_by_root", lambda path: text)
    return settings("research-consented", device, profile="/etc/fleeting/site.toml", **privacy)


@pytest.mark.parametrize("place", ["workplace", "education"])
def test_words_stay_off_there_although_they_are_not_biometric(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where a profile file leaves no cell that infers emotion."""
    device = {"region": "eu", "place": place}
    counts = with_profile(monkeypatch, ["attention"], device)
    assert resolve(counts).cells == ("visits", "attention")
    for cells in (["attention", "words"], ["attention"]):
        asked = with_profile(monkeypatch, cells, device, words=True)
        with pytest.raises(ConfigError, match="words are not biometric, but stay off there too"):
            resolve(asked)
    tone = with_profile(monkeypatch, ["attention", "tone"], device, microphone=True)
    with pytest.raises(ConfigError, match=r"infers tone.*5\(1\)\(f\)"):
        resolve(tone)
    counts = with_profile(monkeypatch, ["attention"], device)
    assert resolve(counts).cells == ("visits", "attention"), "on by default, and left out by it"


def test_a_profile_file_narrows_what_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    device = {"region": "other", "place": "laboratory"}
    on = {"microphone": True, "words": True}
    few = resolve(with_profile(monkeypatch, ["words", "tone"], device, **on))
    assert few.cells == ("visits", "tone", "words")
    silent = with_profile(monkeypatch, ["dwell"], device)
    assert not resolve(silent).listens
    with pytest.raises(ConfigError, match=r"privacy.microphone is true, but the profile"):
        resolve(with_profile(monkeypatch, ["dwell", "words"], device, **on))
    with pytest.raises(ConfigError, match="cells adds tone"):
        resolve(with_profile(monkeypatch, ["tone"], device, microphone=False))


KEYS = {"privacy.microphone", "privacy.words"}


@pytest.mark.parametrize("name", PROFILES)
def test_no_fleet_can_switch_them_on(name: PolicyName) -> None:
    config = somewhere(name, **OFF)
    for wished in ({"privacy.microphone": True}, {"privacy.words": True}):
        assert weaker_than_site(config, wished) == wished.keys()
    assert weaker_than_site(config, dict.fromkeys(KEYS, False)) == set()
    assert "privacy.notice_names" not in remote_fields()


def test_a_fleet_can_switch_off_what_a_site_has_on() -> None:
    one = somewhere("research-consented", microphone=True, words=False)
    assert weaker_than_site(one, {"privacy.microphone": True}) == set()
    assert weaker_than_site(one, {"privacy.words": True}) == {"privacy.words"}
    both = somewhere("research-consented", microphone=True, words=True)
    assert weaker_than_site(both, dict.fromkeys(KEYS, False)) == set()


def test_names_that_a_notice_cannot_have_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"privacy.notice_names"):
        settings("retail-eu", notice_names=["camera"])
    with pytest.raises(ConfigError, match=r"privacy.microphone"):
        settings("retail-eu", microphone="yes")
