"""Sentences that are no code of ours in Python: of the scripts that set up and install, of the
parser of command lines, and of what checks the types of settings."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tools.common.files import ROOT
from tools.docs.messages.sentence import FIELD, Kind, Sentence

SCRIPTS = ("tools/setup-venv", "tools/install.sh", "tools/run-tests", "tools/fleet/run-demo")
COMMAND_LINE = "argparse"
VALUES = "pydantic"
"""Stand in place of a module's name."""
_SAID = re.compile(r'\b(say|fail) "((?:\$\(\(.*?\)\)|\$\(.*?\)|\\.|[^"\\])*)"', re.DOTALL)
_VARIABLE = re.compile(r"\$\(\((.*?)\)\)|\$\((.*?)\)|\$\{(\w+)[^}]*\}|\$(\w+|[*@#])")
_TYPED = (
    "expected", "argument %(", "unrecognized", "ambiguous", "invalid choice", "invalid %(type)s",
    "the following", "one of the", "not allowed", "ignored explicit", "can't open",
)  # fmt: skip
"""What the parser of command lines says to who types; other sentences of it are for programmers."""
_KINDS = {
    "missing", "extra_forbidden", "greater_than", "greater_than_equal", "less_than",
    "less_than_equal", "multiple_of", "finite_number", "too_short", "too_long", "string_type",
    "string_too_short", "string_too_long", "string_pattern_mismatch", "literal_error", "enum",
    "bool_type", "bool_parsing", "int_type", "int_parsing", "int_parsing_size", "int_from_float",
    "float_type", "float_parsing", "list_type", "tuple_type", "dict_type", "model_type",
    "model_attributes_type",
}  # fmt: skip
"""Of what a TOML or JSON file can hold."""


def sentences() -> Iterator[Sentence]:
    """All of them."""
    for name in SCRIPTS:
        yield from script(name, (ROOT / name).read_text(encoding="utf-8"))
    yield from _command_line()
    yield from _values()


def script(name: str, text: str) -> Iterator[Sentence]:
    """What a shell script says with `say` and `fail`."""
    for verb, said in _SAID.findall(text):
        if said in ("$*", "$1"):
            continue
        kind: Kind = "error" if verb == "fail" else "note"
        plain = _VARIABLE.sub(lambda match: f"{FIELD}{match[3] or match[4] or '…'}{FIELD}", said)
        yield Sentence(" ".join(plain.replace("\\", "").split()), kind, "", name)


def _command_line() -> Iterator[Sentence]:
    tree = ast.parse(Path(argparse.__file__).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or getattr(node.func, "id", "") not in ("_", "ngettext"):
            continue
        for each in node.args:
            said = each.value if isinstance(each, ast.Constant) else None
            if isinstance(said, str) and said.startswith(_TYPED):
                text = re.sub(r"%(?:\((\w+)\))?[srd]", _named, said)
                yield Sentence(text, "error", "", COMMAND_LINE)


def _named(match: re.Match[str]) -> str:
    return f"{FIELD}{match[1] or '…'}{FIELD}"


def _values() -> Iterator[Sentence]:
    from pydantic_core._pydantic_core import list_all_errors  # its public module leaves it out

    for each in list_all_errors():
        if each["type"] in _KINDS:
            text = re.sub(r"\{(\w+)\}", _named, each["message_template_python"])
            yield Sentence(text, "error", "", VALUES)
