"""The page says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tools.fleet.test_readme import blocks, calls, inline, known, understood
from tools.fleet.alerts import BY_NAME, KINDS, kinds
from tools.fleet.alerts.__main__ import table

PAGE = (Path(__file__).parents[4] / "docs" / "alerts.md").read_text(encoding="utf-8")


def test_the_table_is_that_of_the_code() -> None:
    assert table() in PAGE, "python -m tools.fleet.alerts kinds"
    assert len(KINDS) == len(BY_NAME) > 20


@pytest.mark.parametrize("program", ["fleeting-fleet", "fleeting"])
def test_every_command_is_understood(program: str) -> None:
    for words in calls(blocks(PAGE), program):
        said = understood(program, words)
        assert not said, f"{program} {words}: {said}"
    spoken = "\n".join(f"{kind.todo} {kind.when} {kind.until}" for kind in KINDS)
    named = calls(inline(PAGE) + inline(spoken), program)
    assert len(named) > 2
    for words in named:
        assert known(program, words), f"{program} {words}"


def test_sentences_name_what_findings_have() -> None:
    """No blank is left: `test_kinds` raises each of them."""
    for kind in KINDS:
        for text in (kind.what, kind.joint):
            assert set(re.findall(r"{(\w+)}", text)) <= {
                "state", "temperature", "waiting", "codes", "missing", "share", "expected",
                "visits", "usual", "low", "high", "hours", "returns", "conflicts", "times", "days",
                "target", "version", "status", "reason", "rollouts", "refused", "openings",
                "messages", "reasons", "devices", "of",
            }  # fmt: skip
        assert kind.what.endswith(".")
        assert kind.todo.endswith(".")


def test_what_is_not_known_any_more_is_said_as_it_is() -> None:
    """A row that an older release left."""
    assert kinds.sentence("gone", "box", {}) == "gone"
    assert kinds.advice("gone", "box") == ""
    assert kinds.sentence("hot", "box", {}) == "The board is too hot (? degrees, perception ?)."
