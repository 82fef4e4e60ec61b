"""Sentences of our own that are only measured on, written before the templates of training."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "sentences"


def sentences(language: str, later: bool = False) -> dict[str, Any]:
    """Lists `positive`, `negative` and `neutral`, and `pairs`: a sentence, its class, its
    counterpart, that one's class, where "+" stands for positive or neutral. `later`: written after
    lexica and templates were finished, else before."""
    folder = HERE / "later" if later else HERE
    return tomllib.loads((folder / f"{language}.toml").read_text(encoding="utf-8"))


def others() -> dict[str, list[str]]:
    """Lines in none of the four languages, by language; "none": gibberish."""
    return tomllib.loads((HERE / "others.toml").read_text(encoding="utf-8"))
