"""Every command with its verbs and options, from the parsers themselves."""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import inspect
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from tools.common.files import ROOT
from tools.docs import markdown

_PROGRAMS = {
    "fleeting": ("agent.cli", "build_parser"),
    "fleeting-fleet": ("tools.fleet.cli", "parser"),
}
_TOPS = ("agent", "tools")
_PARTS = (
    "agent.perceive.", "agent.uplink.", "tools.arm64.guest", "tools.bench.pipeline.",
    "tools.robustness.leaks.", "tools.fleet.cli", "tools.fleet.seen",
)  # fmt: skip
"""Modules that only a program of ours starts, or that are one of `_PROGRAMS`."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program, or one of its verbs."""

    name: str
    """Such as `fleeting receipt verify`."""
    about: str
    parser: argparse.ArgumentParser | None

    @property
    def anchor(self) -> str:
        return "cli-" + re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    def options(self) -> list[argparse.Action]:
        """Without help and without verbs."""
        return [
            each
            for each in (self.parser._actions if self.parser else ())
            if not isinstance(each, argparse._HelpAction | argparse._SubParsersAction)
            and each.help != argparse.SUPPRESS
        ]

    def option_anchor(self, action: argparse.Action) -> str:
        word = action.option_strings[-1] if action.option_strings else f"-{action.dest}"
        return f"{self.anchor}{word if word.startswith('--') else f'-{word}'}"


@cache
def commands() -> tuple[Command, ...]:
    """Those that are installed, then the workshop's in alphabetical order, each with its verbs."""
    found: list[Command] = []
    for name, (module, maker) in _PROGRAMS.items():
        parser = getattr(importlib.import_module(module), maker)()
        found += _tree(Command(name, parser.description or "", parser))
    for module, about in sorted(_modules()):
        name = f"python -m {module}"
        found += _tree(Command(name, about, _parser(module)))
    return tuple(found)


def page() -> str:
    """Markdown: a heading for each command and verb."""
    return "\n".join(map(_shown, commands()))


def _tree(command: Command) -> Iterator[Command]:
    yield command
    for action in command.parser._actions if command.parser else ():
        if isinstance(action, argparse._SubParsersAction):
            helps = {each.dest: each.help or "" for each in action._choices_actions}
            for verb, parser in action.choices.items():
                about = parser.description or helps.get(verb, "")
                yield from _tree(Command(f"{command.name} {verb}", about, parser))


def _modules() -> Iterator[tuple[str, str]]:
    """Modules that are run by `python -m`, with what they say of themselves."""
    for top in _TOPS:
        for path in sorted((ROOT / top).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if path.name != "__main__.py" and '__name__ == "__main__"' not in text:
                continue
            place = path.relative_to(ROOT).with_suffix("")
            module = ".".join(part for part in place.parts if part != "__main__")
            about = ast.get_docstring(ast.parse(text)) or ""
            if not module.startswith(_PARTS) and f"python -m {module}" in text:
                yield module, about


class _FoundError(Exception):
    """The parser that a program was about to use."""


def _parser(module: str) -> argparse.ArgumentParser | None:
    """What the program would parse its arguments with; None where it takes none, or where what it
    needs is not installed."""

    def stop(parser: argparse.ArgumentParser, *_: object) -> None:
        raise _FoundError(parser)

    name = f"{module}.__main__" if (ROOT / module.replace(".", "/")).is_dir() else module
    with (
        mock.patch.object(argparse.ArgumentParser, "parse_known_args", stop),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        try:
            loaded = importlib.import_module(name)
            main: Any = getattr(loaded, "main", None)
            source = main and Path(inspect.getfile(main)).read_text(encoding="utf-8")
            if not source or not re.search(r"parse_args|command\.main", source):
                return None
            main(*([[]] if inspect.signature(main).parameters else []))
        except _FoundError as found:
            parser = found.args[0]
            assert isinstance(parser, argparse.ArgumentParser)
            return parser
        except ModuleNotFoundError:
            return None
    return None


def _shown(command: Command) -> str:
    level = "##" if command.name in _PROGRAMS or command.name.startswith("python") else "###"
    if command.name.count(" ") > (3 if command.name.startswith("python") else 1):
        level = "####"
    out = [f"{level} `{command.name}` {{#{command.anchor}}}", "", _about(command), ""]
    if command.parser is not None:
        with mock.patch.dict(os.environ, {"COLUMNS": "96"}):
            usage = command.parser.format_usage().removeprefix("usage: ").rstrip()
        out += ["```text", usage, "```", ""]
    rows = [_row(command, each) for each in command.options()]
    if rows:
        out.append(markdown.table(["option", "meaning"], rows))
    return "\n".join(out) + "\n"


def _about(command: Command) -> str:
    text = " ".join(command.about.split())
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", ":")) or not text else ".")


def _row(command: Command, action: argparse.Action) -> list[str]:
    anchor = command.option_anchor(action)
    name = ", ".join(action.option_strings) or str(action.metavar or action.dest)
    if action.option_strings and action.nargs != 0:
        value = action.metavar or (None if action.choices else action.dest.upper())
        if action.choices:
            value = "|".join(map(str, action.choices))
        value = " ".join(value) if isinstance(value, tuple) else value
        name += f" {value}"
    elif action.choices:
        name += f" ({'|'.join(map(str, action.choices))})"
    about = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    numeric = isinstance(action.default, int | float) and not isinstance(action.default, bool)
    if numeric and action.nargs != 0 and "default" not in about:
        about += f" (default: {action.default})"
    return [
        f'<a id="{anchor}" href="#{anchor}" class="here">#</a>&nbsp;{markdown.code(name)}',
        about,
    ]
