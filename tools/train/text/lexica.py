"""The lexica and templates beside this file, and which part of them a probe may see."""

from __future__ import annotations

import tomllib
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from agent.text.normalise import fold
from tools.train.text.inflect import adjective, forms

HERE = Path(__file__).parent


POLAR = (
    "adj_pos", "adj_neg", "noun_pos", "noun_neg", "v3_pos", "v3_neg", "loose_pos", "loose_neg",
)  # fmt: skip
"""Parts of a lexicon whose words have a class."""
_ENOUGH = 8
"""Templates of a kind from which some can be kept out."""


def kept(given: list[str], keep: Callable[[str], bool]) -> list[str]:
    return [each for each in given if keep(each)] if len(given) >= _ENOUGH else given


def keep_all(word: str) -> bool:
    """No word is kept from training."""
    return True


def kept_word(word: str) -> bool:
    """Whether a probe may train on a word: nine of ten."""
    return zlib.crc32(f"word {word}".encode()) % 10 != 0


def kept_template(text: str) -> bool:
    """Whether a probe may train on a template: six of seven."""
    return zlib.crc32(f"template {text}".encode()) % 7 != 0


@cache
def read(kind: str, language: str) -> dict[str, Any]:
    """A lexicon or the templates of a language."""
    return tomllib.loads((HERE / kind / f"{language}.toml").read_text(encoding="utf-8"))


def entries(text: str) -> list[str]:
    return [each.strip() for each in text.replace("\n", " ").split(",") if each.strip()]


def lines(text: str) -> list[str]:
    return [each.strip() for each in text.strip().splitlines() if each.strip()]


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
