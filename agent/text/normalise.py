"""A line as tokens: lower case, folded letters, words, punctuation and pictograms."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from agent.text import emoji

MAX_TOKENS = 160
"""Of a line; the rest is not read."""
_QUOTES = dict.fromkeys(map(ord, "’‘`´ʼ′＇"), "'")
_INVISIBLE = dict.fromkeys([*range(0x200B, 0x2010), 0x2060, 0xFEFF, 0xAD, 0xFE0E, 0xFE0F])
_EMOTICON = re.compile(
    r"(?<!\w)(?P<happy>[:;=xX]'?-?[)\]DPp3]+|\^_?\^|<3+)(?!\w)"
    r"|(?<!\w)(?P<sad>[:=;]'?-?[(\[/\\|]+|D:|-[._]-|</3)(?!\w)"
)
_TOKEN = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*'?|\d+(?:[.,:]\d+)*|[.,;:!?¡¿…\n()]|\S")
_RUN = re.compile(r"(\w)\1{2,}")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ß": "ss"})
_ELISIONS = frozenset(
    f"{head}'"
    for head in (
        *"jncldsmty",
        *("qu", "jusqu", "lorsqu", "puisqu", "quoiqu", "quelqu", "presqu"),
    )
)
CLAUSE_MARKS = frozenset(".,;:!?¡¿…\n()")
HAPPY, SAD = "<+>", "<->"
"""Tokens of pictograms and emoticons."""


def clean(line: str) -> str:
    """NFKC, plain apostrophes, nothing invisible, lower case; emoticons as pictograms."""
    text = unicodedata.normalize("NFKC", line).translate(_INVISIBLE).translate(_QUOTES)
    text = _EMOTICON.sub(
        lambda found: f" {emoji.SMILE if found.lastgroup == 'happy' else emoji.FROWN} ", text
    )
    return text.lower()


def fold(word: str, language: str) -> str:
    """Without diacritics, as many type; German umlauts as two letters, since "schon" is not
    "schön". Letters thrice or more become two."""
    if not word.isascii():
        word = word.translate(_UMLAUTS if language == "de" else _LIGATURES)
        word = "".join(
            letter for letter in unicodedata.normalize("NFD", word) if not "̀" <= letter <= "ͯ"
        )
    return _RUN.sub(r"\1\1", word)


def tokens(text: str, language: str) -> list[str]:
    """Folded tokens of cleaned text; numbers become "0"."""
    found: list[str] = []
    for token in _split(text, language):
        found.append(token)
        if len(found) == MAX_TOKENS:
            break
    return found


def _split(text: str, language: str) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        raw = match.group()
        first = raw[0]
        if first.isalpha():
            yield from _word(raw, language)
        elif first.isdigit():
            yield "0"
        elif raw in CLAUSE_MARKS:
            yield raw
        elif raw in emoji.HAPPY:
            yield HAPPY
        elif raw in emoji.SAD:
            yield SAD


def _word(raw: str, language: str) -> Iterator[str]:
    if "'" in raw:
        if language == "fr":
            head, _, rest = raw.partition("'")
            if rest and head + "'" in _ELISIONS:
                yield head + "'"
                yield from _word(rest, language)
                return
        elif raw.endswith("n't"):
            yield fold(raw, language)
            return
        elif language in ("en", "de"):
            raw = raw.partition("'")[0]
        raw = raw.strip("'")
    if raw:
        yield fold(raw, language)
