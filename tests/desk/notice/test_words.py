"""The text of the sign matches the policy in every language."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

import pytest

from agent.base.settings_file import parse
from agent.base.vocabulary import WindowLength
from agent.desk.notice._sign import SignText, draw_sign, sign_text
from agent.desk.notice._words import WORDS, Words
from agent.desk.sheet import missing_glyphs
from agent.privacy.policy.profile import Language, NoticeWords
from agent.privacy.policy.rules import Policy, resolve

LANGUAGES = get_args(Language)


def policy(name: str = "retail-eu", device: dict[str, str] | None = None, **privacy: Any) -> Policy:
    data = {"device": device or {}, "privacy": {"policy": name, **privacy}}
    return resolve(parse(data, "x"), live=False)


def text(rules: Policy, language: Language = "en", **given: Any) -> SignText:
    notice = NoticeWords.model_validate(given.pop("notice", {}))
    asked: dict[str, Any] = {"micro": True, "consent": False, "version": "1.2.3"} | given
    return sign_text(rules, notice, language, **asked)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_is_complete_and_can_be_drawn(language: Language) -> None:
    words = WORDS[language]
    for each in fields(Words):
        value = getattr(words, each.name)
        parts = value.values() if isinstance(value, dict) else [value]
        for part in parts:
            assert part
            assert part == part.strip()
            assert missing_glyphs(part) == ""
    assert set(words.windows) == set(get_args(WindowLength))
    for value in words.windows.values():
        assert value.split()[0].isdigit()


def test_no_language_borrows_from_another() -> None:
    for each in fields(Words):
        values = [getattr(words, each.name) for words in WORDS.values()]
        if each.name not in ("contact", "windows"):  # "Contact" is both English and French
            assert len(set(map(str, values))) == len(values), each.name


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_act_s_wording_stands_where_expressions_are_read_in_the_eu(language: Language) -> None:
    sign = text(policy(), language)
    assert "2024/1689" in sign.act
    assert "50" in sign.act
    assert sign.title == WORDS[language].title_expression
    elsewhere = text(policy(device={"region": "other"}), language)
    assert elsewhere.act == WORDS[language].act_elsewhere


@pytest.mark.parametrize("language", LANGUAGES)
def test_where_no_emotion_is_inferred_only_presence_is_said(language: Language) -> None:
    words = WORDS[language]
    sign = text(policy("classroom", {"place": "education"}), language)
    assert sign.title == words.title_count
    assert sign.statements == (words.attention,)
    assert sign.act == words.act_not
    assert not sign.emotion


def test_the_numbers_are_those_in_force() -> None:
    sign = text(policy(k=25, window=3600)).points[1]
    assert "25 visits" in sign
    assert "1 hour" in sign
    assert "noise" in sign
    assert "do not leave this computer" in text(policy("demo")).points[1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_microphone_and_words_are_named_where_they_are_on(language: Language) -> None:
    said = WORDS[language].voice, WORDS[language].text
    assert not set(said).intersection(text(policy(), language).statements)
    both = text(policy(microphone=True, words=True), language)
    assert set(said) < set(both.statements)
    assert draw_sign(both), "there is room on the sign"
    one = text(policy(words=True), language).statements
    assert (said[0] in one, said[1] in one) == (False, True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_traces_are_named_where_they_are_kept(language: Language) -> None:
    words = WORDS[language]
    study = {"region": "us", "place": "laboratory"}
    rules = policy("research-consented", study, consent=True)
    said = text(rules, language, consent=True, traces=14)
    assert words.traces.format(days=14) in said.statements
    assert "14" in words.traces.format(days=14)
    assert words.face_geometry not in said.statements  # it says that nothing is stored
    assert words.face_geometry_kept in said.statements
    assert said.points[1] == words.numbers_beside.format(
        k=rules.k,
        window=words.windows[rules.window],
    )
    assert draw_sign(said), "there is room on the sign"
    assert not any("14" in each for each in text(rules, language).statements)


def test_brief_expressions_are_named_only_where_they_are_looked_for() -> None:
    assert WORDS["en"].brief in text(policy()).statements
    assert WORDS["en"].brief not in text(policy(), micro=False).statements


def test_signs_in_the_usa_mention_face_geometry_and_consent() -> None:
    shop = policy("retail-us-notice", {"region": "us"})
    assert WORDS["en"].face_geometry in text(shop).statements
    assert WORDS["en"].with_consent in text(shop, consent=True).statements
    assert WORDS["en"].with_consent not in text(shop).statements


def test_the_operator_s_words_stand_in_their_place() -> None:
    given = {
        "operator": "Stores", "contact": "a@b", "purpose": {"de": "Zweck A", "en": "Aim A"},
        "retention": "a year", "avoid": "East door.",
    }  # fmt: skip
    facts = dict(text(policy(), "de", notice=given).facts)
    assert facts["Betreiber"] == "Stores"
    assert facts["Zweck"] == "Zweck A"
    assert facts["Aufbewahrung der Zählwerte"] == "a year"
    assert facts["Rechtsgrundlage"] == "Bitte fragen Sie den Betreiber."
    assert text(policy(), "fr", notice=given).avoid == "East door."
    assert dict(text(policy(), "fr", notice=given).facts)["Finalité"] == WORDS["fr"].ask
    bare = dict(text(policy()).facts)
    assert bare["Operator"] is None
    assert bare["Contact"] is None


def test_quiet_hours_and_staff_zones_are_mentioned() -> None:
    rules = policy(quiet_hours=["22:00-06:00"], staff_zones=[[[0, 0], [1, 0], [0, 1]]])
    sign = text(rules)
    assert dict(sign.facts)["Switched off"] == "22:00–06:00"
    assert sign.avoid.endswith(WORDS["en"].zones)
