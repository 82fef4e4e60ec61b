"""Forms of the lexica's words: "/" separates alternatives, "!" is not inflected (see de.toml)."""

from __future__ import annotations


def adjective(entry: str, language: str) -> list[str]:
    """The forms of an adjective, the first as a predicate."""
    if entry.endswith("!"):
        return [entry[:-1]]
    forms = entry.split("/")
    if language == "en":
        return forms
    if language == "de":
        stem = forms[-1]
        if " " in entry:
            return [entry]
        ends = ("e", "er", "es", "en", "em") if not stem.endswith("e") else ("r", "s", "n", "m")
        return [forms[0], *(stem + end for end in ends)]
    if language == "fr":
        return _french(forms)
    return _spanish(entry)


def _french(forms: list[str]) -> list[str]:
    masculine = forms[0]
    if " " in masculine:
        return [masculine]
    if len(forms) > 2:
        return forms
    feminine = forms[1] if len(forms) == 2 else _feminine(masculine)
    plural = masculine if masculine[-1] in "sxz" else masculine + "s"
    return [masculine, feminine, plural, feminine if feminine[-1] in "sx" else feminine + "s"]


def _feminine(word: str) -> str:
    for end, other in (
        ("teur", "trice"), ("eur", "euse"), ("eux", "euse"), ("if", "ive"), ("el", "elle"),
        ("en", "enne"), ("on", "onne"), ("er", "ère"), ("ul", "ulle"), ("ais", "aise"),
    ):  # fmt: skip
        if word.endswith(end):
            return word[: -len(end)] + other
    return word if word.endswith("e") else word + "e"


def _spanish(word: str) -> list[str]:
    if " " in word:
        return [word]
    if word.endswith("o"):
        stem = word[:-1]
        return [word, stem + "a", stem + "os", stem + "as"]
    if word.endswith("or"):
        return [word, word + "a", word + "es", word + "as"]
    if word[-1] in "ea" or word.endswith("ista"):
        return [word, word + "s"]
    if word.endswith("z"):
        return [word, word[:-1] + "ces"]
    return [word, word.replace("és", "es") + "es"]


def forms(entry: str) -> list[str]:
    """Of a noun or a verb."""
    return entry.split("/")
