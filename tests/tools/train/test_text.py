"""Training of the sentiment model: sentences of our own, material, and the network's twin."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest

from agent.text.features import parse
from agent.text.language import LANGUAGES, OTHER, LanguageDetector
from agent.text.normalise import clean
from tools.common.errors import ToolError
from tools.eval.text.sentences import sentences
from tools.train.text import generate, material
from tools.train.text.generate import (
    POLAR,
    Grammar,
    draw,
    every_word,
    kept_template,
    kept_word,
    read,
)
from tools.train.text.inflect import adjective


@pytest.mark.parametrize(
    ("entry", "language", "some"),
    [
        ("freundlich", "de", {"freundlich", "freundliche", "freundlichem"}),
        ("teuer/teur", "de", {"teuer", "teure", "teurer"}),
        ("klasse!", "de", {"klasse"}),
        ("heureux", "fr", {"heureux", "heureuse", "heureuses"}),
        ("attentif", "fr", {"attentif", "attentive", "attentifs"}),
        ("beau/belle/beaux/belles", "fr", {"beau", "belle", "beaux", "belles"}),
        ("rico", "es", {"rico", "rica", "ricos", "ricas"}),
        ("amable", "es", {"amable", "amables"}),
        ("fatal", "es", {"fatal", "fatales"}),
        ("good", "en", {"good"}),
    ],
)
def test_forms_of_adjectives(entry: str, language: str, some: set[str]) -> None:
    assert some <= set(adjective(entry, language))


def test_lines_are_whole_and_labelled() -> None:
    lines = draw(400, 1)
    assert {line.language for line in lines} == set(LANGUAGES)
    for line in lines:
        assert line.text
        assert "{" not in line.text
        assert "~" not in line.text
        assert sum(line.label) == pytest.approx(1.0)
    for language in LANGUAGES:
        best = {int(np.argmax(x.label)) for x in lines if x.language == language}
        assert best == {0, 1, 2}
    assert draw(20, 1) == draw(20, 1)
    assert draw(20, 1) != draw(20, 2)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_only_measured_on_is_not_in_the_material(language: str) -> None:
    measured = set()
    for given in (sentences(language), sentences(language, later=True)):
        measured |= {*given["positive"], *given["negative"], *given["neutral"]}
        measured |= {text for pair in given["pairs"] for text in (pair[0], pair[2])}
    known = {
        line.strip()
        for kind in ("lexicon", "templates")
        for text in read(kind, language).values()
        for line in (text.splitlines() if isinstance(text, str) else text)
    }
    assert not measured & known


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_probe_never_sees_what_is_kept_from_it(language: str) -> None:
    entries = [each for name in POLAR for each in generate.entries(read("lexicon", language)[name])]
    kept = [each for each in entries if kept_word(each)]
    assert 0.85 < len(kept) / len(entries) < 0.95
    grammar = Grammar(language, Random(1), kept_word, kept_template)
    assert {each for name in POLAR for each in grammar._words[name]} == set(kept)
    assert all(map(kept_template, grammar._templates["neutral"]))


def test_every_form_of_every_word_is_among_the_lines() -> None:
    texts = {line.text for line in every_word("de", Random(1))}
    assert {"teuer", "teures", "freundlichem", "Probleme"} <= texts


def test_material_is_named_where_it_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="pip download vaderSentiment"):
        material.fetch(tmp_path)


def test_messages_of_an_interface() -> None:
    text = (
        'msgid ""\nmsgstr ""\n"Content-Type: text/plain\\n"\n\n'
        'msgid "Save %(name)s"\nmsgstr "%(name)s <b>speichern</b>"\n\n'
        'msgid "one"\nmsgid_plural "%d files"\nmsgstr[0] "eine Datei"\nmsgstr[1] "%d "\n"Dateien"\n'
    )
    assert list(material._messages(text, False)) == ["speichern", "eine Datei", "Dateien"]
    assert list(material._messages(text, True)) == ["Save", "files"]


def test_the_agent_computes_what_was_trained() -> None:
    torch = pytest.importorskip("torch")
    from agent.text.sentiment import Network
    from tools.train.text.loop import fit, quantised
    from tools.train.text.net import SentimentNet, tensors

    torch.manual_seed(1)
    lines = draw(60, 3)
    batch, vocabulary = tensors(lines)
    net = SentimentNet(
        len(vocabulary.counts), vocabulary.gram_table(), vocabulary.valences({"de:gut": 1.0})
    )
    fit(net, batch, 1)
    arrays = quantised(net, vocabulary) | {
        "language_rows": np.zeros((16384, len(LANGUAGES) + 1), np.int8)
    }
    network = Network(arrays)
    rows = [k for k, line in enumerate(lines) if 0 < len(line.text.split()) < 20]
    with torch.no_grad():
        trained = net(batch.rows(np.array(rows))).numpy()
    texts = [(lines[k].text, lines[k].language) for k in rows]
    ours = np.stack([network.logits(parse(t, clean(t), name), name) for t, name in texts])
    assert np.corrcoef(ours.ravel(), trained.ravel())[0, 1] > 0.97


def test_languages_are_learnt_from_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from tools.train.text import languages

    monkeypatch.setattr(languages, "STEPS", 60)
    monkeypatch.setattr(languages, "EXAMPLES", 3000)
    own = {name: [*sentences(name)["positive"], *sentences(name)["neutral"]] for name in LANGUAGES}
    interface = {name: texts[:5] for name, texts in own.items()}
    interface |= {name: ["niets", "er is geen"] for name in languages._NEIGHBOURS}
    detector = LanguageDetector(languages.train(own, interface, 1), 0.95)
    for name in LANGUAGES:
        found = [detector(clean(text)) for text in sentences(name)["negative"]]
        assert found.count(name) > 0.7 * len(found)
    assert detector.probabilities(clean("xkq zzw pfff qqq"))[OTHER] > 0.3
