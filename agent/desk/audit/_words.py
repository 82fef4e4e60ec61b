"""What both processes may say: the log lines of this program's own source, with closed fields.

The templates are read from the source: the first argument of each `log.info()` and so on, and the
texts of the errors that a log line may hold. A field is a number, a word of a closed vocabulary, a
path of the run, the broker's address, a text of errno(3) or the name of an exception. A line that
is no such line is a finding, and so is an expected line that comes too often. Other lines of the
source tell of trouble: the run is then no undisturbed one, and the audit not complete.
"""

from __future__ import annotations

import ast
import builtins
import functools
import os
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from agent.base.errors import CERTIFICATE
from agent.base.report import EventCode
from agent.base.report.device import Layer, PerceiveOpening, UplinkOpening
from agent.desk.audit._artifacts import Finding
from agent.host import swap
from agent.host.sandbox.enter import WITHOUT
from agent.uplink import reason_codes, unreachable
from agent.uplink.credentials import ODD_ENDS
from agent.uplink.topics import MESSAGE_KINDS

_SOURCE = Path(__file__).resolve().parents[2]
_ROOMS = ("base", "host", "inference", "kernels", "perceive", "privacy", "text", "uplink", "vision",
          "voice", "wall")  # fmt: skip
"""Whose source the two processes run."""
EXPECTED: tuple[tuple[str, int], ...] = (
    ("Network %s, writing %s (%s).", 1),
    ("Connected to %s, MQTT %s", 8),
    ("Warm after %.1f s.", 1),
    ("The sandbox lacks one layer, %s: %s. %s", 4),
    ("Not closed to this process: %s.", 1),
    (
        "This kernel's Landlock knows no ports: this process may connect to any, unless the "
        "systemd unit or a firewall refuses.",
        1,
    ),
    (
        "Pictures may be swapped to %s: this process cannot lock its memory (%s). Turn swap off, "
        "raise the limit (memlock in limits.conf), or run it as the systemd unit does.",
        1,
    ),
    ("%d threads ran before the sandbox was entered: Landlock does not hold for them.", 1),
)
"""Templates of an undisturbed run, and how often each may come. All must stand in the source."""
_MAX_TROUBLE = 12
"""Lines of trouble beyond which they could be a code."""
MAX_BYTES = 256_000
"""Of the words of one process."""
_MAX_DEPTH = 2
"""An error's text inside an error's text inside a line."""
_LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
_PERCENT = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[sdifgrx]")
_NUMBER = re.compile(r"-?\d{1,7}(\.\d{1,3})?")
_WORDS = frozenset({
    *get_args(EventCode), *get_args(Layer), *get_args(PerceiveOpening), *get_args(UplinkOpening),
    *(f"certificate verify failed: {each}" for each in CERTIFICATE.values()),
    ODD_ENDS, *unreachable.TEXTS, *reason_codes.TEXTS,
    *(each.partition("/")[0] for each in MESSAGE_KINDS),
    *WITHOUT.values(), "The others hold.", "no capabilities", "running", "paused", "quiet",
    "open", "closed", "confined", "-", "5.0", "3.1.1", "landlock", "seccomp", "mdwe",
    "no new privileges", "no core dumps", "perceive", "uplink",
})  # fmt: skip
_NO_LAYER = "; this kernel has none, or it is switched off"
_REASONS = frozenset(os.strerror(number) for number in range(1, 134))
_SQLITE = frozenset(
    each.removeprefix("SQLITE_").replace("_", " ").lower()
    for each in dir(sqlite3)
    if each.startswith("SQLITE_")
)
_EXCEPTIONS = frozenset(
    name
    for name, each in vars(builtins).items()
    if isinstance(each, type) and issubclass(each, BaseException)
) | {"SSLError", "SSLCertVerificationError", "gaierror", "error", "herror", "struct.error"}


@dataclass(frozen=True, slots=True)
class _Template:
    text: str
    """Fields are written as NUL."""
    pattern: re.Pattern[str]


@dataclass(slots=True)
class Words:
    """Judges the lines of one process."""

    process: str
    port: int
    paths: tuple[str, ...]
    """Paths that lines may name."""
    findings: list[Finding] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    """Lines that tell of trouble."""

    def judge(self, data: bytes) -> None:
        """All that the process said."""
        logs, errors, _ = templates()
        expected = {_plain(text): most for text, most in EXPECTED}
        counts: Counter[str] = Counter()
        said = f"{self.process}'s words (stdout, stderr)"
        at = 0
        for raw in data.split(b"\n"):
            line = raw.decode("ascii", "backslashreplace")
            template = self._template(line, logs, errors) if line else ""
            if template is None:
                what = f"a line that the agent does not say: {line[:80]!a}"
                self.findings.append(Finding("words", said, at, what))
            elif template in expected:
                counts[template] += 1
                if counts[template] == expected[template] + 1:
                    what = f"a line more than {expected[template]} times: {line[:80]!a}"
                    self.findings.append(Finding("words", said, at, what))
            elif line:
                self.trouble.append(line[:200])
                if len(self.trouble) == _MAX_TROUBLE + 1:
                    what = f"more than {_MAX_TROUBLE} lines of trouble, which could be a code"
                    self.findings.append(Finding("words", said, at, what))
            at += len(raw) + 1
        if data and not data.endswith(b"\n"):
            self.trouble.append("its last line has no end")

    def _template(
        self, line: str, logs: Iterable[_Template], errors: Iterable[_Template]
    ) -> str | None:
        """The template that a line follows, None where there is none."""
        heads = (f"{self.process}: ", [*logs, *errors]), (f"fleeting {self.process}: ", errors)
        for head, those in heads:
            if line.startswith(head):
                for each in those:
                    if self._follows(line.removeprefix(head), each, errors, 0):
                        return each.text
        return None

    def _follows(
        self, text: str, template: _Template, errors: Iterable[_Template], depth: int
    ) -> bool:
        found = template.pattern.fullmatch(text)
        return found is not None and all(
            self._closed(each, errors, depth) for each in found.groups()
        )

    def _closed(self, text: str, errors: Iterable[_Template], depth: int) -> bool:
        """Whether a field says nothing that is not known beforehand."""
        text = text.removesuffix(_NO_LAYER).strip("'")
        if (
            text in _WORDS
            or text.replace(_today(), unreachable.DATE) in _WORDS
            or text in _REASONS
            or text in _SQLITE
            or text in _EXCEPTIONS
            or text in self.paths
            or text in templates()[2]
            or text in _of_machine()
            or _NUMBER.fullmatch(text)
            or text in (f"127.0.0.1:{self.port}", f"The broker at 127.0.0.1:{self.port}")
        ):
            return True
        if ", " in text and all(each in _WORDS for each in text.split(", ")):
            return True
        if depth >= _MAX_DEPTH:
            return False
        return any(self._follows(text, each, errors, depth + 1) for each in errors)


def _today() -> str:
    """As the uplink names the clock's date where a certificate is out of date."""
    return time.strftime("%Y-%m-%d", time.gmtime())


@functools.cache
def _of_machine() -> frozenset[str]:
    """What the processes may say of this machine's swap: the audit sees the same."""
    disk = swap.areas().disk
    return frozenset({*disk, ", ".join(disk), swap.limit()})


@functools.cache
def templates() -> tuple[list[_Template], list[_Template], frozenset[str]]:
    """All log lines, all texts of errors, and what may be done to the outbox, of the source."""
    found: dict[str, set[str]] = {"log": set(), "error": set(), "deed": {"read"}}
    for room in _ROOMS:
        for path in sorted((_SOURCE / room).rglob("*.py")):
            for kind, text in _of(ast.parse(path.read_text(encoding="utf-8"))):
                found[kind].add(text)
    return _compiled(found["log"]), _compiled(found["error"]), frozenset(found["deed"])


def _compiled(texts: Iterable[str]) -> list[_Template]:
    found = []
    for text in sorted(texts, key=lambda each: (-len(each), each)):
        if len(text.replace("\0", "").strip()) < 3:
            continue  # a field alone would take anything
        pattern = "(.+?)".join(re.escape(part) for part in text.split("\0"))
        found.append(_Template(text, re.compile(pattern)))
    return found


def _of(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """("log", "error" or "deed", text with NUL for fields) of every message in a module."""
    nodes = list(ast.walk(tree))
    constants = {
        target.id: node.value.value
        for node in nodes
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.value, str)
    }
    for node in nodes:
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = node.func
        if (
            isinstance(called, ast.Attribute)
            and called.attr in _LEVELS
            and isinstance(called.value, ast.Name)
            and called.value.id == "log"
        ):
            text = _text(node.args[0], constants)
            if text is not None:
                yield "log", _plain(text)
        elif getattr(called, "attr", "") == "transaction":
            yield "deed", _text(node.args[0], constants) or ""
        elif getattr(called, "id", "").endswith("Error"):
            # of an OSError the second argument
            for text in filter(None, (_text(each, constants) for each in node.args[:2])):
                yield "error", text


def _text(node: ast.AST, constants: dict[str, str]) -> str | None:
    """A string, also formatted or concatenated; fields as NUL."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(_part(each, constants) for each in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left, constants), _text(node.right, constants)
        return None if left is None or right is None else left + right
    if isinstance(node, ast.IfExp):
        return _text(node.body, constants)
    return None


def _part(node: ast.AST, constants: dict[str, str]) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Name):
        return constants.get(node.value.id, "\0")
    return "\0"


def _plain(text: str) -> str:
    """Fields of % written as NUL."""
    return _PERCENT.sub("\0", text).replace("%%", "%")
