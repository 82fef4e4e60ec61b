"""Why a setting was refused, in words: the key, what is wrong, and what may have been meant."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Mapping, Set

from pydantic_core import ErrorDetails

_REMOVED = {
    "privacy.engine": "is gone: noise always comes from the built-in sampler; remove the key",
}
_LONGEST = 100
"""Characters of a key that are repeated."""


def explain(error: ErrorDetails, sections: Mapping[str, Set[str]], others: Set[str]) -> str:
    """One validation error as a sentence without its full stop. `sections`: the keys of each;
    `others`: keys outside of them."""
    path, kind, value = ".".join(map(str, error["loc"])), error["type"], error["input"]
    got = reprlib.repr(value)
    if path in _REMOVED:
        return f"{path} {_REMOVED[path]}"
    if kind == "extra_forbidden":
        meant = _near_miss([str(each) for each in error["loc"]], value, sections, others)
        advice = "unknown key" + (f"; perhaps {' or '.join(meant)}" if meant else "")
    elif kind == "value_error":
        advice = error["msg"].removeprefix("Value error, ")  # a sentence of ours
    elif kind == "tuple_type":
        advice = f"is a list; write it in brackets (got {got})"
    elif kind in ("model_type", "model_attributes_type"):
        advice = f"is a section; write [{path}] and its keys below"
    elif isinstance(value, str) and kind in ("float_type", "int_type"):
        advice = f"{got} is text; give a plain number in the documented unit (seconds, pixels)"
    else:
        advice = f"{error['msg']} (got {got})"
    return f"{path[:_LONGEST] or 'file'}: {advice}"


def _near_miss(
    path: list[str], value: object, sections: Mapping[str, Set[str]], others: Set[str]
) -> list[str]:
    """What an unknown key, or a section with keys, may have been meant to be."""
    *section, key = path
    known = sections.get(section[0], set()) if section else {*sections, *others}
    near = difflib.get_close_matches(key.lower(), known, 1, 0.7)
    if near:
        return [".".join((*section, name)) for name in near]
    if isinstance(value, dict):
        return [name for name, keys in sections.items() if keys & value.keys()]
    return [f"{name}.{key}" for name, keys in sections.items() if key in keys]
