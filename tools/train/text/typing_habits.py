"""How people type: greetings, pictograms, case, punctuation, accents, slips."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

_HAPPY = (*"🙂😀😊👍❤😍🎉", ":)", ":-)", ":D", "<3", ";)")
_SAD = (*"🙁😞😡👎😠😢😤", ":(", ":-(", ":/", ">:(")
_BARE = str.maketrans("áàâäéèêëíìîïóòôöúùûüñçß¿¡", "aaaaeeeeiiiioooouuuuncs  ")


def dressed(
    text: str, sign: int, prefixes: Sequence[str], suffixes: Sequence[str], rng: Random
) -> str:
    """With a greeting, a remark, or a pictogram of its sign (1, 0 or -1), now and then."""
    if rng.random() < 0.08:
        text = rng.choice(prefixes) + text[:1].lower() + text[1:]
    if rng.random() < 0.06:
        text = text.rstrip(".") + rng.choice(suffixes)
    if sign and rng.random() < 0.07:
        text += " " + rng.choice(_HAPPY if sign > 0 else _SAD) * rng.choice((1, 1, 2))
    return text


def typed(text: str, rng: Random) -> str:
    """Lower or upper case, without marks, accents or apostrophes, with a slip, now and then."""
    roll = rng.random()
    if roll < 0.15:
        text = text.lower()
    elif roll < 0.18:
        text = text.upper()
    elif text and roll < 0.9:
        text = text[0].upper() + text[1:]
    if rng.random() < 0.2:
        text = text.rstrip(".!")
    elif rng.random() < 0.08:
        text = text.rstrip(".") + rng.choice(("!", "!!", "!!!", "...", " !"))
    if rng.random() < 0.12:
        text = text.translate(_BARE)
    if rng.random() < 0.1:
        text = text.replace("'", rng.choice(("’", "")))
    if rng.random() < 0.06:
        text = _slip(text, rng)
    return text


def _slip(text: str, rng: Random) -> str:
    """Two letters exchanged, one doubled, or one lost."""
    if len(text) < 6:
        return text
    k = rng.randrange(1, len(text) - 2)
    one, other = text[k], text[k + 1]
    return text[:k] + rng.choice((other + one, one * 2 + other, other)) + text[k + 2 :]
