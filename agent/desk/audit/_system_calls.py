"""System calls of a process traced by strace(1) and judged as they happen.

strace writes to a named pipe, so a long run needs no disk. Everything but `_expected.UNTRACED` is
recorded, from the first instruction on, and must match the lists of `_expected`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from agent.desk.audit._expected import (
    CALLS,
    FILES,
    NEUTRAL,
    OPENS,
    SENDS,
    UNTRACED,
    WRITES,
)
from agent.desk.audit._rules import CallRule, Process
from agent.desk.audit._written import PAGE, WrittenStore

INSTALL = "`sudo apt install strace`"
_LINE = re.compile(
    rb"(\w+)\((.*)\)\s+= (-?\d+|0x[0-9a-f]+|\?)"
    rb"(?:<((?:\\x[0-9a-f]{2})*)>| (E[A-Z]+))?"
)
_PID = re.compile(rb"(\d+) +(.*)", re.DOTALL)
_RESUMED = re.compile(rb"<\.\.\. \w+ resumed>(.*)", re.DOTALL)
_TEXT = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_FD = re.compile(
    rb"(?<![\w>])(\d+)<((?:TCP|UDP|UNIX|NETLINK)(?:v6)?:\[[^\]]*(?:\]:\d+)?(?:->\[[^\]]*\]:\d+)?\]"
    rb"|(?:\\x[0-9a-f]{2}|[^<>\\])*)(?:<[^<>]*>)?>"
)
"""A descriptor with its file, pipe or socket."""
_CWD = re.compile(rb"AT_FDCWD<((?:\\x[0-9a-f]{2})*)>")
_HEX = re.compile(rb"\\x([0-9a-f]{2})")
_WRITING = re.compile(rb"\bO_(WRONLY|RDWR|CREAT|TRUNC|TMPFILE|APPEND)\b")
_REFUSALS = {"EPERM", "EACCES", "EROFS", "ENOSYS", "EAFNOSUPPORT"}
_SENSOR = re.compile(r"/dev/(video|media|snd|v4l|dri|input|bus|nv)")
_LONGEST = 1_000_000
"""Bytes recorded of one write."""
_MAX_NAMED = 5
"""Different arguments of one forbidden call that are named; all are counted."""
_MAX_KEPT = 64_000_000
"""Bytes of shortened trace that are kept for the evidence."""
_PIPE_BYTES = 1 << 20


def strace(fifo: Path) -> list[str]:
    """Command prefix that traces a command into the named pipe; empty where unavailable."""
    path = shutil.which("strace")
    if path is None:
        return []
    # `?`: ignore calls unknown on this architecture
    calls = ",".join(f"?{each}" for each in UNTRACED)
    head = [path, "-f", "-yy", "-xx", "-s", str(_LONGEST), "-qq", "-e", f"trace=!{calls}",
            "-e", "signal=none"]  # fmt: skip
    # without --seccomp-bpf, which hides what the process's own filter refuses
    trial = [*head, "-o", "/dev/null", "true"]
    try:
        done = subprocess.run(trial, capture_output=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    works = done.returncode == 0 and not done.stderr
    return [*head, "-o", str(fifo)] if works else []


@dataclass(frozen=True, slots=True)
class Run:
    """What the lists refer to."""

    process: Process
    folder: Path
    """The folder of the run."""
    port: int
    """The broker's, as uplink sees it."""
    words: str
    """strace's name of the pipe that takes stdout and stderr."""


@dataclass(slots=True)
class Verdict:
    """What the trace of a process showed."""

    calls: int = 0
    """Recorded."""
    unread: int = 0
    """Lines that could not be understood."""
    cut: int = 0
    """Writes recorded in part."""
    refused: Counter[str] = field(default_factory=Counter)
    """Calls refused by the kernel, by name."""
    wrong: dict[str, Counter[str]] = field(default_factory=dict)
    """Calls on no list, by name, with their arguments."""
    often: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    """Listed calls that were made too often, by rule: what, how often, how often they may be."""

    def findings(self) -> list[str]:
        """In words."""
        found = []
        for call, arguments in sorted(self.wrong.items()):
            named = "; ".join(each for each, _ in arguments.most_common(_MAX_NAMED))
            times = f"{arguments.total()} times: " if arguments.total() > 1 else ""
            found.append(f"{call}, {times}{named}")
        return found + [
            f"{what}: {count} times, at most {most} belong to the agent"
            for what, count, most in self.often.values()
        ]


class Judge:
    """Judges the lines of strace one by one."""

    def __init__(self, run: Run, store: WrittenStore) -> None:
        self.verdict = Verdict()
        self._run = run
        self._store = store
        self._pending: dict[bytes, bytes] = {}
        self._uses: Counter[int] = Counter()
        ours = [each for each in CALLS if run.process in each.processes]
        self._calls: dict[str, list[tuple[CallRule, re.Pattern[str]]]] = {}
        for rule in ours:
            text = rule.arguments.replace("{port}", str(run.port))
            text = text.replace("{user}", str(os.geteuid())).replace("{group}", str(os.getegid()))
            text = text.replace("{pages}", r"(\d+)")
            self._calls.setdefault(rule.call, []).append((rule, re.compile(text, re.DOTALL)))
        self._files = [
            (each, re.compile(each.names)) for each in FILES if run.process in each.processes
        ]

    def line(self, line: bytes) -> None:
        """One line of strace's output."""
        found = _PID.fullmatch(line.rstrip(b"\n"))
        if found is None:
            self.verdict.unread += 1
            return
        pid, rest = found[1], found[2]
        if rest.endswith(b"<unfinished ...>"):
            self._pending[pid] = rest.removesuffix(b"<unfinished ...>")
            return
        resumed = _RESUMED.match(rest)
        if resumed is not None:
            before = self._pending.pop(pid, b"?").rstrip(b" ")
            rest = before + (b"" if resumed[1][:1] in (b")", b",") else b" ") + resumed[1]
        if rest.startswith((b"+++", b"---")):
            return
        call = _LINE.match(rest)
        if call is None:
            self.verdict.unread += 1
            return
        self.verdict.calls += 1
        refused = call[5] is not None and call[5].decode() in _REFUSALS
        if refused:
            self.verdict.refused[call[1].decode()] += 1
        name, failed = call[1].decode(), call[3].startswith(b"-")
        if name in OPENS:
            self._open(call[2], failed, call[4])
        else:
            self._call(name, call[2], refused)

    def end(self) -> None:
        """Calls that never returned are judged as if they had."""
        for rest in self._pending.values():
            self.line(b"0 " + rest + b") = ?")
        self._pending.clear()

    def _call(self, call: str, arguments: bytes, refused: bool) -> None:
        if call in WRITES:
            self._write(call, arguments, refused)
        elif call in SENDS and self._to_broker(arguments):
            return  # the proxy records it
        elif call == "mmap" and b"MAP_SHARED" not in arguments:
            return
        else:
            if call in SENDS:
                data, _ = _data(arguments)
                self._store.write(self._run.process, f"a socket ({call})", data, None)
            text = re.sub(r"AT_FDCWD(<[^>]*>)?, ", "", _text(arguments))
            text = text.replace(f"{self._run.folder}/", "RUN/")
            self._judge(NEUTRAL.get(call, call), text, refused)

    def _judge(self, call: str, text: str, refused: bool) -> None:
        for rule, pattern in self._calls.get(call, ()):
            if rule.refused and not refused:
                continue
            found = pattern.fullmatch(text)
            if found is None:
                continue
            if "{pages}" in rule.arguments and int(found[1]) % PAGE:
                continue
            self._count(id(rule), f"{call} {text[:80]}", rule.most)
            return
        self._wrong(call, text)

    def _wrong(self, call: str, text: str) -> None:
        words = re.sub(r"[^ -~]", "?", re.sub(r"\s+", " ", text))[:160]
        named = self.verdict.wrong.setdefault(call, Counter())
        named[words if len(named) < 10_000 else "…"] += 1

    def _count(self, rule: int, what: str, most: int) -> None:
        self._uses[rule] += 1
        if self._uses[rule] > most:
            self.verdict.often[rule] = what, self._uses[rule], most

    def _open(self, arguments: bytes, failed: bool, result: bytes | None) -> None:
        texts = _TEXT.findall(arguments)
        path = Path(_text(texts[0][0])) if texts else Path("?")
        cwd = _CWD.search(arguments)
        if not path.is_absolute() and cwd is not None:
            path = Path(_text(cwd[1])) / path
        name = short_name(path, self._run.folder)
        unnamed = b"O_TMPFILE" in arguments
        if _WRITING.search(arguments):
            self._file(f"{name}/<unnamed>" if unnamed else name, failed)
        if result is not None and not unnamed:
            real = Path(_text(result))
            if real != path and _WRITING.search(arguments):
                self._file(short_name(real, self._run.folder), failed)
            path = real
        opened = result is not None
        if self._run.process == "uplink" and opened and _SENSOR.match(str(path)):
            self._wrong("open", str(path))

    def _file(self, name: str, failed: bool) -> None:
        for rule, pattern in self._files:
            if (failed or not rule.refused) and pattern.fullmatch(name):
                self._count(id(rule), f"opening {name} for writing", rule.most)
                return
        self._wrong("open for writing", name)

    def _write(self, call: str, arguments: bytes, refused: bool) -> None:
        named = _FD.match(arguments)
        target = _text(named[2]) if named else "unknown"
        if target in (self._run.words, "/dev/null"):
            return  # stdout and stderr are recorded as such
        if target.startswith("TCP") and self._run.process == "uplink":
            if not self._to_broker(arguments):
                self._wrong(call, target)
            return
        data, whole = _data(arguments)
        self.verdict.cut += not whole
        name = short_name(Path(target), self._run.folder)
        offset = re.search(rb", (\d+)$", arguments) if call == "pwrite64" else None
        self._store.write(self._run.process, name, data, int(offset[1]) if offset else None)
        if target == "/memfd:runtime-messages" and self._run.process == "perceive":
            return
        known = any(rule.most and pattern.fullmatch(name) for rule, pattern in self._files)
        if not known and not refused:
            self._wrong("write", f"{len(data)} bytes to {name}")

    def _to_broker(self, arguments: bytes) -> bool:
        """Whether it is a write of uplink to its connection with the broker."""
        named = _FD.match(arguments)
        target = _text(named[2]) if named else ""
        here = f"->127.0.0.1:{self._run.port}]"
        plain = b"sa_family" not in arguments and b"msg_control=" not in arguments
        return self._run.process == "uplink" and target.endswith(here) and plain


class Tracer:
    """Context manager that reads the named pipe of one process in a thread."""

    def __init__(self, fifo: Path, kept: Path, judge: Judge) -> None:
        """`kept`: file for the trace, without the data."""
        self.failed = ""
        """Why the trace is not whole."""
        self._fifo, self._kept, self._judge = fifo, kept, judge
        os.mkfifo(fifo, 0o600)
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Tracer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # where strace never opened it
            os.close(os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK))
        self._thread.join(60.0)
        if self._thread.is_alive():
            self.failed = "the trace did not end"
        self._judge.end()

    def _read(self) -> None:
        try:
            with self._fifo.open("rb") as lines, self._kept.open("wb") as kept:
                with contextlib.suppress(OSError):
                    fcntl.fcntl(lines, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
                size = 0
                for line in lines:
                    self._judge.line(line)
                    if size < _MAX_KEPT:
                        size += kept.write(line if len(line) < 600 else line[:500] + b"...\n")
        except OSError as error:
            self.failed = f"the trace could not be read: {error.strerror}"


def short_name(path: Path, run: Path) -> str:
    """Path relative to the folder of the run where possible."""
    return path.relative_to(run).as_posix() if path.is_relative_to(run) else str(path)


def _data(arguments: bytes) -> tuple[bytes, bool]:
    """All strings of a call joined, and whether they are whole."""
    found = _TEXT.findall(arguments)
    text = b"".join(each for each, _ in found).replace(b"\\x", b"")
    return bytes.fromhex(text.decode()), not any(more for _, more in found)


def _text(text: bytes) -> str:
    """Strings and paths are written as \\x..; sockets and pipes as words."""
    plain = _HEX.sub(lambda each: bytes.fromhex(each[1].decode()), text)
    return plain.decode("utf-8", "backslashreplace").replace("(deleted)", "")
