"""The guides name verbs that exist, with arguments that they take, and leave none out."""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from agent.cli import build_parser
from tools.fleet.cli import parser
from tools.fleet.settings import FleetSettings

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "tools" / "fleet" / "README.md"
PAGES = [
    ROOT / "README.md",
    ROOT / "docs" / "fleet.md",
    GUIDE,
    *sorted((ROOT / "tools" / "fleet").glob("*/README.md")),
]
PARSERS = {"fleeting-fleet": parser, "fleeting": build_parser}


def blocks(text: str) -> list[str]:
    """Lines of code: fenced as sh (or as nothing), and indented."""
    fenced = re.findall(r"^```(?:sh|sh run)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    plain = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    indented = re.findall(r"^ {4}(\S.*)$", plain, re.MULTILINE)
    return [line for block in fenced for line in block.splitlines()] + indented


def inline(text: str) -> list[str]:
    plain = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [re.sub(r"\s+", " ", each) for each in re.findall(r"`([^`]+)`", plain)]


def calls(lines: list[str], program: str) -> list[list[str]]:
    """The words after `program`, wherever in a line it is called."""
    found = []
    for line in lines:
        for part in re.split(r"\s(?:\||&&|;)\s", line.partition("  #")[0]):
            match = re.search(rf"(?:^|\s|/){program}\s+(.+)$", part)
            if match:
                found.append(shlex.split(match[1], comments=True))
    return found


def understood(program: str, words: list[str]) -> str:
    """Empty where the parser takes the words; else what it says."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            PARSERS[program]().parse_args(words)
    except SystemExit as end:
        return "" if end.code == 0 else said.getvalue().splitlines()[-1]
    return ""


def verbs(whole: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Of a parser, by name; empty where it has none."""
    for action in whole._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def known(program: str, words: list[str]) -> bool:
    """Whether the words begin with verbs that exist; for code amid a sentence, which may be cut
    short."""
    here = PARSERS[program]()
    for word in words:
        below = verbs(here)
        if not below:
            return True
        if word not in below:
            return False
        here = below[word]
    return True


@pytest.mark.parametrize("program", PARSERS)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_every_command_is_understood(page: Path, program: str) -> None:
    text = page.read_text(encoding="utf-8")
    for words in calls(blocks(text), program):
        said = understood(program, words)
        assert not said, f"{program} {shlex.join(words)}: {said}"
    for words in calls(inline(text), program):
        assert known(program, words), f"{program} {shlex.join(words)}"


def test_the_guide_leaves_no_verb_out() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    named = calls(blocks(text), "fleeting-fleet") + calls(inline(text), "fleeting-fleet")
    missing = set(verbs(parser())) - {words[0] for words in named}
    assert not missing
    assert len(named) > 50
    assert len(calls(blocks(text) + inline(text), "fleeting")) > 3


def test_what_is_no_command_would_be_seen() -> None:
    lines = blocks("    17 3 * * *  fleeting-fleet nonsense --x\n\n```sh\nfleeting-fleet ca\n```\n")
    found = calls(lines, "fleeting-fleet")
    assert sorted(found) == [["ca"], ["nonsense", "--x"]]
    assert all(understood("fleeting-fleet", words) for words in found)
    assert not known("fleeting-fleet", ["nonsense"])
    assert not known("fleeting-fleet", ["rollout", "begin"])
    assert known("fleeting-fleet", ["rollout"])


def test_the_settings_shown_are_settings() -> None:
    shown = re.findall(r"^```toml\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(shown) == 2
    for text in shown:
        FleetSettings.model_validate(tomllib.loads(text))


def test_every_link_leads_somewhere() -> None:
    for page in PAGES[1:]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page}: {link}"
