"""Sentences of our own: templates filled from the lexica, with the class that follows from both.

A negation turns a word's class round: "not good" is negative; "not bad" is rather positive. What
was wished, conceded or was not enough is labelled with less certainty."""

from __future__ import annotations

import tomllib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from agent.text.normalise import fold
from tools.train.text.inflect import adjective, forms
from tools.train.text.typing_habits import dressed, typed

LANGUAGES = ("en", "de", "fr", "es")
HERE = Path(__file__).parent
Label = tuple[float, float, float]
NEGATIVE: Label = (0.95, 0.04, 0.01)
NEUTRAL: Label = (0.03, 0.94, 0.03)
POSITIVE: Label = (0.01, 0.04, 0.95)
NOT_POSITIVE: Label = (0.92, 0.07, 0.01)
NOT_NEGATIVE: Label = (0.03, 0.32, 0.65)
WISHED: Label = (0.72, 0.24, 0.04)
CONCEDED: dict[tuple[int, int], Label] = {
    (1, -1): (0.68, 0.16, 0.16),
    (-1, 1): (0.20, 0.20, 0.60),
}
"""Of "A but B", by the signs of A and B."""


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence with its class."""

    text: str
    label: Label
    language: str


POLAR = (
    "adj_pos", "adj_neg", "noun_pos", "noun_neg", "v3_pos", "v3_neg", "loose_pos", "loose_neg",
)  # fmt: skip
"""Parts of a lexicon whose words have a class."""
_ENOUGH = 8
"""Templates of a kind from which some can be kept out."""


def _kept(lines: list[str], keep: Callable[[str], bool]) -> list[str]:
    return [each for each in lines if keep(each)] if len(lines) >= _ENOUGH else lines


def keep_all(word: str) -> bool:
    """No word is kept from training."""
    return True


def kept_word(word: str) -> bool:
    """Whether a probe may train on a word: nine of ten."""
    return zlib.crc32(f"word {word}".encode()) % 10 != 0


def kept_template(text: str) -> bool:
    """Whether a probe may train on a template: six of seven."""
    return zlib.crc32(f"template {text}".encode()) % 7 != 0


class Grammar:
    """Draws sentences of one language; `keep` says which words and templates may be used."""

    def __init__(
        self,
        language: str,
        rng: Random,
        keep: Callable[[str], bool] = keep_all,
        keep_template: Callable[[str], bool] = keep_all,
    ) -> None:
        self.language = language
        self._rng = rng
        lexicon, templates = read("lexicon", language), read("templates", language)
        self._words = {
            name: entries(text) for name, text in lexicon.items() if not name.startswith("phrase")
        }
        self._phrases = {
            sign: [each for each in _lines(lexicon[f"phrase_{name}"]) if keep_template(each)]
            for sign, name in ((1, "pos"), (-1, "neg"), (0, "neu"))
        }
        for name in POLAR:
            self._words[name] = [each for each in self._words[name] if keep(each)]
        self._templates = {
            name: _kept(_lines(text), keep_template)
            for name, text in templates.items()
            if isinstance(text, str)
        }
        self._join = {name: text for name, text in templates.items() if not isinstance(text, str)}

    def draw(self) -> Line:
        """One line of any kind."""
        roll = self._rng.random()
        if roll < 0.30:
            text, label = self._neutral()
        elif roll < 0.66:
            text, label, _ = self._clause()
        elif roll < 0.74:
            text, label = self._joined()
        elif roll < 0.79:
            text, label = self._contrast()
        elif roll < 0.83:
            text, label = self._mixed()
        else:
            sign = self._rng.choice((1, 1, -1, -1, 0))
            text = self._rng.choice(self._phrases[sign])
            label = (NEUTRAL, POSITIVE, NEGATIVE)[sign]
        sign = 0 if max(label) < 0.6 else label.index(max(label)) - 1
        join, rng = self._join, self._rng
        text = dressed(text, sign, join["prefix"], join["suffix"], rng)
        return Line(typed(text, rng), label, self.language)

    def _clause(self) -> tuple[str, Label, int]:
        """A sentence that has a class, and its sign."""
        sign = self._rng.choice((1, -1))
        label, opposed = (POSITIVE, NOT_POSITIVE) if sign > 0 else (NEGATIVE, NOT_NEGATIVE)
        roll = self._rng.random()
        if roll < 0.28:
            return self._fill("adjective", self._adjective(sign)), label, sign
        if roll < 0.46:
            return self._fill("negated", self._adjective(sign)), opposed, -sign
        if roll < 0.50:
            text = self._pick("neither").replace("{X}", self._adjective(sign), 1)
            return self._slots(text.replace("{X}", self._adjective(sign))), opposed, -sign
        if roll < 0.51:
            return self._fill("double", self._adjective(sign)), label, sign
        if roll < 0.56:
            return self._fill("too", self._too()), NEGATIVE, -1
        if roll < 0.58:
            return self._fill("not_too", self._too()), NOT_NEGATIVE, 1
        if roll < 0.62:
            word = self._adjective(1, comparative=True)
            return self._fill("not_enough", word), WISHED, -1
        if roll < 0.70:
            return self._fill("noun", self._form(f"noun_{_name(sign)}")), label, sign
        if roll < 0.78:
            return self._fill("no_noun", self._form(f"noun_{_name(sign)}")), opposed, -sign
        if roll < 0.79:
            return self._fill("lack", self._form("noun_pos")), NEGATIVE, -1
        if roll < 0.81:
            return self._fill("solved", self._form("noun_neg")), POSITIVE, 1
        if roll < 0.89:
            text, negated = self._verb1(sign)
        else:
            text, negated = self._verb3(sign)
        return text, opposed if negated else label, -sign if negated else sign

    def _adjective(self, sign: int, comparative: bool = False) -> str:
        entry = self._rng.choice(self._words[f"adj_{_name(sign)}"])
        found = adjective(entry, self.language)
        word = found[0] if self._rng.random() < 0.4 else self._rng.choice(found)
        if comparative and self.language == "de" and self._rng.random() < 0.6:
            stem = entry.rstrip("!").split("/")[-1]
            return stem + ("r" if stem.endswith("e") else "er")
        if comparative and self.language == "en" and len(word) < 7 and self._rng.random() < 0.5:
            return word[:-1] + "ier" if word.endswith("y") else word.rstrip("e") + "er"
        return word

    def _too(self) -> str:
        name = "adj_too" if self._rng.random() < 0.75 else "adj_neg"
        return self._rng.choice(adjective(self._rng.choice(self._words[name]), self.language))

    def _form(self, name: str) -> str:
        return self._rng.choice(forms(self._rng.choice(self._words[name])))

    def _pick(self, name: str) -> str:
        return self._rng.choice(self._templates[name])

    def _fill(self, name: str, word: str) -> str:
        text = self._pick(name)
        return self._slots(text.replace("{X}", word).replace("{T}", word))

    def _slots(self, text: str) -> str:
        """Fill what is neutral."""
        for slot, name in _SLOTS.items():
            while slot in text:
                text = text.replace(slot, self._form(name), 1)
        while "{A}" in text:
            entry = self._rng.choice(self._words["adj_neu"])
            text = text.replace("{A}", self._rng.choice(adjective(entry, self.language)), 1)
        while "{NUM}" in text:
            digits = self._rng.random() < 0.5
            number = str(self._rng.randint(2, 400)) if digits else self._form("number")
            text = text.replace("{NUM}", number, 1)
        return text

    def _neutral(self) -> tuple[str, Label]:
        if self._rng.random() < 0.15:
            return self._rng.choice(self._phrases[0]), NEUTRAL
        text = self._slots(self._pick("neutral"))
        if self._rng.random() < 0.2:
            text += " " + self._slots(self._pick("neutral"))
        return text, NEUTRAL

    def _verb1(self, sign: int) -> tuple[str, bool]:
        """ "I like the museum", or that it is not so."""
        rng, language = self._rng, self.language
        entry = rng.choice(self._words[f"v1_{_name(sign)}"])
        thing = self._form("obj")
        negated = rng.random() < 0.5
        if language == "en":
            base, past = entry.split("/")
            verb = rng.choice((base, past))
            if rng.random() < 0.2:
                verb = rng.choice(("would ", "will ", "can only ", "will always ")) + base
            if negated:
                verb = f"{rng.choice(_ENGLISH_NOT)} {base}"
            adverb = rng.choice(("", "", "really ", "absolutely ", "truly "))
            who = rng.choice(("I", "We", "My kids", "Everyone", "I", "I"))
            return f"{who} {adverb if not negated else ''}{verb} {thing}.", negated
        if language == "de":
            if negated:
                return f"Ich {entry} {thing} {rng.choice(_GERMAN_NOT)}.", True
            adverb = rng.choice(("", "", "wirklich ", "sehr ", "einfach "))
            return f"Ich {entry} {adverb}{thing}.", False
        if language == "es":
            who = rng.choice(("", "", "Yo "))
            if negated:
                return f"{who}{rng.choice(_SPANISH_NOT)} {entry} {thing}.", True
            return f"{who}{entry} {rng.choice(('', '', 'mucho '))}{thing}.", False
        vowel = entry[0] in "aeiouhéêàyœ" and not entry.startswith(("hais", "ho"))
        if negated:
            particle = rng.choice(_FRENCH_NOT)
            ne = "n'" if vowel else "ne "
            first, _, rest = entry.partition(" ")
            ne = ne if rng.random() < 0.85 else ""
            return f"Je {ne}{first} {particle} {rest + ' ' if rest else ''}{thing}.", True
        first, _, rest = entry.partition(" ")
        adverb = rng.choice(("", "", "beaucoup ", "vraiment "))
        who = "J'" if vowel else "Je "
        return f"{who}{first} {adverb}{rest + ' ' if rest else ''}{thing}.", False

    def _verb3(self, sign: int) -> tuple[str, bool]:
        """ "The museum impressed me", or that it did not."""
        rng, language = self._rng, self.language
        entry = rng.choice(self._words[f"v3_{_name(sign)}"])
        subject = self._form("subj")
        negated = rng.random() < 0.5
        if language == "en":
            base, present, past = (entry.split("/") * 3)[:3]
            if negated:
                return f"{subject} {rng.choice(_ENGLISH_NOT)} {base}.", True
            adverb = rng.choice(("", "", "really ", "always "))
            return f"{subject} {adverb}{rng.choice((present, past))}.", False
        if language == "de":
            if not negated:
                return f"{subject} {entry}.", False
            word = rng.choice(_GERMAN_NOT)
            first, _, last = entry.rpartition(" ")
            participle = last.startswith("ge") or last.endswith(("t", "en"))
            perfect = participle and entry.startswith(("hat ", "ist ", "haben "))
            if perfect and first:
                return f"{subject} {first} {word} {last}.", True
            return f"{subject} {entry} {word}.", True
        if language == "es":
            if negated:
                return f"{subject} {rng.choice(_SPANISH_NOT)} {entry}.", True
            return f"{subject} {entry}.", False
        if not negated:
            return f"{subject} {entry.replace('~', rng.choice(('', '', ' vraiment')))}.", False
        ne = ("n'" if entry[0] in "aeéiou" else "ne ") if rng.random() < 0.85 else ""
        return f"{subject} {ne}{entry.replace('~', ' ' + rng.choice(_FRENCH_NOT))}.", True

    def _joined(self) -> tuple[str, Label]:
        """Two clauses of one sign."""
        first, label, sign = self._clause()
        for _ in range(20):
            second, other, same = self._clause()
            if same == sign:
                mean = [(a + b) / 2 for a, b in zip(label, other, strict=True)]
                return self._pair("and", first, second), (mean[0], mean[1], mean[2])
        return first, label

    def _mixed(self) -> tuple[str, Label]:
        """A neutral statement beside one that has a class."""
        polar, label, _ = self._clause()
        neutral, _ = self._neutral()
        pair = [polar, neutral]
        self._rng.shuffle(pair)
        softer = [0.88 * a + 0.12 * b for a, b in zip(label, NEUTRAL, strict=True)]
        return " ".join(pair), (softer[0], softer[1], softer[2])

    def _contrast(self) -> tuple[str, Label]:
        first, label, sign = self._clause()
        for _ in range(20):
            second, _, other = self._clause()
            if other == -sign:
                index = self._rng.randrange(len(self._join["but"]))
                text = self._join["but"][index]
                return self._pair("but", first, second, text), CONCEDED[sign, other]
        return first, label

    def _pair(self, name: str, first: str, second: str, text: str | None = None) -> str:
        text = text or self._rng.choice(self._join[name])
        a, b = first.rstrip(".!? "), second.rstrip(".!? ")
        if text.startswith("{A}"):
            b = b[:1].lower() + b[1:]
        return text.replace("{A}", a).replace("{B}", b)


_SLOTS = {
    "{S}": "subj", "{O}": "obj", "{I}": "intens", "{TI}": "time", "{PL}": "place",
    "{TH}": "thing", "{PE}": "person", "{V0}": "v3_neu", "{P}": "adj_pos",
}  # fmt: skip
_ENGLISH_NOT = (
    "don't", "didn't", "do not", "did not", "never", "doesn't", "won't", "would not", "can't",
    "cannot", "couldn't", "hardly", "really didn't", "dont", "didnt", "wouldn't",
)  # fmt: skip
_GERMAN_NOT = (
    "nicht", "gar nicht", "überhaupt nicht", "nie", "kaum", "nicht mehr", "nicht besonders",
    "leider nicht", "nicht wirklich", "nicht sehr", "niemals",
)  # fmt: skip
_FRENCH_NOT = (
    "pas", "pas du tout", "pas vraiment", "plus", "jamais", "guère", "pas trop", "toujours pas",
    "absolument pas",
)  # fmt: skip
_SPANISH_NOT = (
    "no",
    "no",
    "ya no",
    "nunca",
    "tampoco",
    "jamás",
    "apenas",
    "realmente no",
    "casi no",
)


def _name(sign: int) -> str:
    return "pos" if sign > 0 else "neg"


@cache
def read(kind: str, language: str) -> dict[str, Any]:
    """A lexicon or the templates of a language."""
    return tomllib.loads((HERE / kind / f"{language}.toml").read_text(encoding="utf-8"))


def entries(text: str) -> list[str]:
    return [each.strip() for each in text.replace("\n", " ").split(",") if each.strip()]


def _lines(text: str) -> list[str]:
    return [each.strip() for each in text.strip().splitlines() if each.strip()]


def every_word(language: str, rng: Random, keep: Callable[[str], bool] = keep_all) -> list[Line]:
    """Each form of each word that has a class, alone, under a degree and negated."""
    lexicon = read("lexicon", language)
    found = []
    degrees = entries(lexicon["intens"])
    nots = {"en": _ENGLISH_NOT, "de": _GERMAN_NOT, "fr": _FRENCH_NOT, "es": _SPANISH_NOT}[language]
    for name in POLAR:
        positive = name.endswith("pos")
        label, turned = (POSITIVE, NOT_POSITIVE) if positive else (NEGATIVE, NOT_NEGATIVE)
        for entry in entries(lexicon[name]):
            if not keep(entry):
                continue
            for word in adjective(entry, language) if name[:3] == "adj" else forms(entry):
                word = word.replace("~", "")
                found.append(Line(word, label, language))
                if name[:3] == "adj":
                    found.append(Line(f"{rng.choice(degrees)} {word}", label, language))
                    found.append(Line(f"{rng.choice(nots)} {word}", turned, language))
                elif name[:5] == "loose":
                    plain = Line(f"{word} {rng.choice(entries(lexicon['place']))}", label, language)
                    found.append(plain)
    for word in entries(lexicon["loose_neu"]):
        found.append(Line(word, NEUTRAL, language))
        found.append(Line(f"{word} {rng.choice(entries(lexicon['place']))}", NEUTRAL, language))
    return found


def polar_words(language: str, keep: Callable[[str], bool] = keep_all) -> dict[str, float]:
    """Single words of the lexicon, folded, with 1 or -1; in neither list: left out."""
    lexicon = read("lexicon", language)
    found: dict[str, set[float]] = {}
    for name in (*POLAR, "v1_pos", "v1_neg"):
        sign = 1.0 if name.endswith("pos") else -1.0
        for entry in filter(keep, entries(lexicon[name])):
            for word in adjective(entry, language) if name[:3] == "adj" else forms(entry):
                if word.isalpha():
                    found.setdefault(fold(word.lower(), language), set()).add(sign)
    return {word: signs.pop() for word, signs in found.items() if len(signs) == 1}


def draw(
    count: int, seed: int, languages: Sequence[str] = LANGUAGES, **keep: Callable[[str], bool]
) -> list[Line]:
    """`count` lines of each language."""
    found: list[Line] = []
    for language in languages:
        grammar = Grammar(language, Random(f"{seed} {language}"), **keep)
        found += [grammar.draw() for _ in range(count)]
    return found
