"""Figures on a page, taken from what a measurement stored; never typed.

    <!-- figure: FILE -->                    all that the report printed
    <!-- figure: FILE | table: 2 -->         its second table
    <!-- figure: FILE | table: 2 ours -->    of that the rows with this cell
    <!-- figure: FILE | lines: 200 of 200; longest -->    the lines that hold one of these
    <!-- figure: FILE | section: Speed -->   a section of a card
    <!-- figure: FOLDER -->                  every report in it, folded

Each names the machine and the command.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.docs import markdown

_COMMAND = re.compile(r"^    (python -m .+)$", re.MULTILINE)
_SHOWN = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MACHINE = re.compile(r"^(?:Host: )?(.+, \d+ cores, Linux .+|[^,]+; \d+ videos.*)$")


@dataclass(frozen=True, slots=True)
class Report:
    """One stored measurement."""

    title: str
    command: str
    machine: str
    lines: tuple[str, ...]
    """As printed, without the line on the machine."""


def read(path: Path) -> Report:
    """Raises `ToolError` where the file is not as `--save` writes it."""
    text = path.read_text(encoding="utf-8")
    command, shown = _COMMAND.search(text), _SHOWN.search(text)
    if command is None or shown is None:
        raise ToolError(f"{path} holds no stored measurement: a command and what it printed.")
    lines = shown[1].splitlines()
    found = next((each for each in lines[:3] if _MACHINE.match(each)), None)
    if found is None:
        raise ToolError(f"{path} does not name the machine it was measured on.")
    title = text.partition("\n")[0].removeprefix("# ")
    return Report(title, command[1], found, tuple(each for each in lines if each != found))


def tables(lines: tuple[str, ...]) -> list[str]:
    """Every table that is drawn with + and -, as Markdown."""
    found: list[str] = []
    rows: list[list[str]] = []
    before = ""
    for line in (*lines, ""):
        if line.startswith("|"):
            first, *others = line.strip("|").split("|")
            inset = "&emsp;" if first.startswith("   ") and first.strip() else ""
            rows.append([f"{inset}{first.strip()}", *(each.strip() for each in others)])
        elif rows and (not line.startswith("+") or before.startswith("+")):
            found.append(markdown.table([each or " " for each in rows[0]], rows[1:]))
            rows = []
        before = line
    return found


def _foot(report: Report) -> str:
    return f"<small>{report.machine}; `{report.command}`</small>\n"


def figure(wish: str) -> str:
    """Markdown for what a marker asks for. Raises `ToolError` where there is no such thing."""
    name, _, part = (each.strip() for each in wish.partition("|"))
    path = ROOT / name
    if path.is_dir():
        return "\n".join(_folded(each) for each in sorted(path.glob("*.md")))
    if not path.is_file():
        raise ToolError(f"There is no {name} to take a figure from.")
    if not part:
        return _whole(read(path))
    kind, _, which = (each.strip() for each in part.partition(":"))
    if kind == "section":
        return _section(path, which)
    report = read(path)
    if kind == "table":
        number, _, cell = which.partition(" ")
        found = tables(report.lines)
        if not number.isdecimal() or not 1 <= int(number) <= len(found):
            raise ToolError(f"{name} has no table {number}; it has {len(found)}.")
        rows = found[int(number) - 1].splitlines()
        kept = [each for each in rows[2:] if not cell or f"| {cell} |" in each]
        if not kept:
            raise ToolError(f"Table {number} of {name} has no row with {cell!r}.")
        return "\n".join([*rows[:2], *kept]) + f"\n\n{_foot(report)}"
    if kind == "lines":
        words = [each.strip() for each in which.split(";")]
        lines = [each.strip() for each in report.lines if any(word in each for word in words)]
        if not lines:
            raise ToolError(f"No line of {name} holds {which!r}.")
        return "```text\n" + "\n".join(lines) + f"\n```\n\n{_foot(report)}"
    raise ToolError(f"A figure is a table, lines or a section, not {kind!r}.")


def _whole(report: Report) -> str:
    return "```text\n" + "\n".join(report.lines) + f"\n```\n\n{_foot(report)}"


def _folded(path: Path) -> str:
    return (
        f'<details markdown="1"><summary>{read(path).title}</summary>\n\n'
        f"{_whole(read(path))}\n</details>\n"
    )


def _section(path: Path, title: str) -> str:
    """Of a card, without its heading."""
    text = path.read_text(encoding="utf-8")
    found: list[str] = []
    depth = 0
    for line, code in markdown.lines(text):
        match = None if code else re.match(r"(#+) (.*)", line)
        if match and depth and len(match[1]) <= depth:
            break
        if depth:
            found.append(line)
        elif match and match[2].strip() == title:
            depth = len(match[1])
    if not depth:
        raise ToolError(f"{path.relative_to(ROOT)} has no section {title!r}.")
    return "\n".join(found).strip() + "\n"
