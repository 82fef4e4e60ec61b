"""What `tools.bench` and `tools.robustness` share: subcommands that measure, print and store."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from agent.base.errors import AgentError
from tools.common.files import ROOT, save_atomically
from tools.common.machine import slug, words_of

REFERENCE = ROOT / "tools" / "bench" / "reference"
"""Stored reports, one file per machine and subject."""


class Subcommand(Protocol):
    """A module with these two functions."""

    def add(self, verbs: Any, shared: argparse.ArgumentParser) -> None:
        """Put the subcommand into `verbs`, an argparse subparsers action."""

    def run(self, args: argparse.Namespace) -> tuple[dict[str, Any], str] | int:
        """Report and text; `passed` in the report, if it is there, is the verdict.

        Or the exit code of what has printed its own. Raises `AgentError`.
        """


def parser(
    package: str,
    description: str | None,
    subcommands: Mapping[str, Subcommand],
    folder: Path = REFERENCE,
) -> argparse.ArgumentParser:
    """Of `python -m <package> SUBCOMMAND`; `folder`: of this repository, where reports are
    stored."""
    whole = argparse.ArgumentParser(prog=f"python -m {package}", description=description)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="end with one line of JSON")
    where = folder.relative_to(ROOT)
    shared.add_argument("--save", action="store_true", help=f"store under {where}")
    verbs = whole.add_subparsers(dest="what", required=True)
    for subcommand in subcommands.values():
        subcommand.add(verbs, shared)
    return whole


def main(
    package: str,
    description: str | None,
    subcommands: Mapping[str, Subcommand],
    argv: list[str] | None = None,
    folder: Path | None = None,
) -> int:
    """Measure, print, perhaps store in `folder`, None: `REFERENCE`. Returns the exit code."""
    given = sys.argv[1:] if argv is None else argv
    shown = parser(package, description, subcommands, *filter(None, [folder]))
    args = shown.parse_args(given)
    name = package.rpartition(".")[2]
    try:
        done = subcommands[args.what].run(args)
        if isinstance(done, int):
            return done
        report, text = done
        if args.save:
            what = "stages" if getattr(args, "stages", False) else args.what
            what = f"{what}-report" if getattr(args, "report", None) else what
            if folder is not None:  # several packages share it
                what = f"{name}-{what}"
            stored = _store(package, what, given, report, text, folder or REFERENCE)
            print(f"{name}: stored {stored}", file=sys.stderr)
    except AgentError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"{name}: stopped; nothing was measured", file=sys.stderr)
        return 130
    print(text, end="")
    if args.json:
        print(json.dumps(report))
    return 0 if report.get("passed", True) else 1


def positive(text: str) -> int:
    """An argparse type: 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def _store(
    package: str, what: str, given: Sequence[str], report: Mapping[str, Any], text: str,
    folder: Path,
) -> Path:  # fmt: skip
    """`<board>-<what>-<peer or store>.md`: the command, the table, and the line of JSON."""
    peer = words_of(report["peer"].partition(",")[0]) if report.get("peer") else ""
    parts = (slug(report["machine"]), what, peer or report.get("store", ""))
    target = folder / f"{'-'.join(filter(None, parts))}.md"
    store(target, f"{report['machine']['name']}: {what}", package, given, text, report)
    return target


def store(
    target: Path, title: str, package: str, given: Sequence[str], text: str,
    report: Mapping[str, Any],
) -> None:  # fmt: skip
    """A report with the command that made it; `given`: its words, of which paths are left out."""
    words = [public(word) for word in given if word != "--save"]
    command = shlex.join(["python", "-m", package, *words])
    content = (
        f"# {title}\n\n    {command}\n\n```\n{text}```\n\n```json\n{json.dumps(report)}\n```\n"
    )
    save_atomically(target, content.encode())


def public(word: str) -> str:
    """A word of a command line without a path of this machine."""
    path = Path(word)
    if not path.is_absolute():
        return word
    return "FOLDER" if path.is_dir() else f"FILE{path.suffix}"
