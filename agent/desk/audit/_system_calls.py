"""System calls of a process traced by strace(1), where installed and permitted."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.desk.audit._artifacts import Artifact, Evidence, Finding
from agent.desk.audit._recorders import kind_of, may_open, short_name

_LINE = re.compile(rb"(\w+)\((.*)\)\s+= (-?\d+|0x[0-9a-f]+)(?:<((?:\\x[0-9a-f]{2})*)>)?")
_TEXT = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"')
_FD = re.compile(rb"(?<![\w>])(\d+)<((?:\\x[0-9a-f]{2}|[^<>\\])*)>")
_OPENS = {"open", "openat", "openat2", "creat"}
_WRITES = {"write", "pwrite64", "writev", "pwritev", "pwritev2"}
_SENDS = {"sendto", "sendmsg", "sendmmsg"}
_NAMES = {"rename", "renameat", "renameat2", "link", "linkat"}
_COVERT = {"shmget", "mq_open", "io_uring_setup", "ptrace", "process_vm_writev", "setxattr",
           "fsetxattr", "lsetxattr", "symlink", "symlinkat", "sendfile", "copy_file_range",
           "splice", "vmsplice", "mknod", "mknodat"}  # fmt: skip
_TRACED = _OPENS | _WRITES | _NAMES | _COVERT | {"mmap"}
"""In addition to all network calls."""


@dataclass(slots=True)
class Trace:
    """System calls of a process, its threads and children that may transfer data."""

    families: dict[str, int] = field(default_factory=dict)
    """Sockets opened, by address family."""
    refused: dict[str, int] = field(default_factory=dict)
    """Sockets refused by the kernel (sandbox and its self-test), by address family."""
    opened: set[Path] = field(default_factory=set)
    """Files created or opened for writing."""
    devices: set[Path] = field(default_factory=set)
    """Device nodes opened."""
    shared: set[Path] = field(default_factory=set)
    """Files mapped shared and writable."""
    written: dict[str, list[bytes]] = field(default_factory=dict)
    """Bytes of each write, by file, pipe or socket."""
    covert: list[str] = field(default_factory=list)
    """Other calls that could transfer data."""
    calls: int = 0


def strace(output: Path) -> list[str]:
    """Command prefix that traces a command to `output`.PID files; empty where unavailable."""
    path = shutil.which("strace")
    if path is None:
        return []
    # `?`: ignore calls unknown on this architecture
    calls = ",".join(["%network", *(f"?{each}" for each in sorted(_TRACED))])
    head = [path, "-f", "-ff", "-yy", "-xx", "-s", "1000000", "-qq", "-e", f"trace={calls}",
            "-e", "signal=none"]  # fmt: skip
    for each in (["--seccomp-bpf"], []):
        # without -ff, for no output files
        trial = [*(word for word in head if word != "-ff"), *each, "-o", "/dev/null", "true"]
        done = subprocess.run(trial, capture_output=True, check=False, timeout=20)
        if done.returncode == 0 and not done.stderr:
            return [*head, *each, "-o", str(output)]
    return []


def read(output: Path) -> Trace:
    """Parse the `output`.PID files of strace."""
    trace = Trace()
    for path in sorted(output.parent.glob(f"{output.name}.*")):
        with path.open("rb") as file:
            for line in file:
                trace.calls += 1
                _line(trace, line)
    return trace


def _line(trace: Trace, line: bytes) -> None:
    found = _LINE.match(line)
    if found is None:
        return
    call, arguments = found[1].decode(), found[2]
    failed = found[3].startswith(b"-")
    if call in ("socket", "socketpair"):
        family = arguments.split(b",", 1)[0].decode("ascii", "replace")
        counts = trace.refused if failed else trace.families
        counts[family] = counts.get(family, 0) + 1
    elif failed:
        return
    elif call in _OPENS:
        texts = _TEXT.findall(arguments)
        path = Path(_text(found[4] or (texts[0] if texts else b"")))
        if re.search(rb"O_(WRONLY|RDWR|CREAT|TMPFILE)", arguments):
            trace.opened.add(path)
        if str(path).startswith("/dev/") and not str(path).startswith("/dev/shm/"):
            trace.devices.add(path)
    elif call in _WRITES | _SENDS:
        named = _FD.match(arguments)
        name = ("socket " if call in _SENDS else "") + (_text(named[2]) if named else "unknown")
        sent = b"".join(_TEXT.findall(arguments)).replace(b"\\x", b"")
        trace.written.setdefault(name, []).append(bytes.fromhex(sent.decode()))
    elif call == "mmap" and b"MAP_SHARED" in arguments and b"PROT_WRITE" in arguments:
        if named := _FD.search(arguments):
            trace.shared.add(Path(_text(named[2])))
    elif call in _NAMES and (texts := _TEXT.findall(arguments)):
        trace.opened.add(Path(_text(texts[-1])))
    elif call in _COVERT:
        words = re.sub(r"\s+", " ", _text(arguments))
        trace.covert.append(f"{call} {words[:200]}")


def _text(text: bytes) -> str:
    """Paths are written as \\x..; sockets and pipes as words."""
    plain = re.sub(rb"\\x([0-9a-f]{2})", lambda each: bytes.fromhex(each[1].decode()), text)
    return plain.decode("utf-8", "backslashreplace").removesuffix("(deleted)")


def judge(
    evidence: Evidence, process: str, trace: Trace, run: Path, kernels: Sequence[Path], port: int
) -> None:
    """Add findings and written bytes of the calls of `perceive` or `uplink` to the evidence.

    `run`: the folder they may write to; `port`: the only one that uplink may send to.
    """

    def listed(counts: dict[str, int]) -> str:
        return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))

    refused = f", refused: {listed(trace.refused)}" if trace.refused else ""
    calls = f"{trace.calls} traced; sockets: {listed(trace.families) or 'none'}{refused}"
    evidence.watched = {**evidence.watched, f"{process}'s system calls": calls}
    for what in _forbidden(process, trace, run, kernels, port):
        evidence.findings.append(Finding("call", process, None, what))
    evidence.artifacts += _written(process, trace, run)


def _forbidden(
    process: str, trace: Trace, run: Path, kernels: Sequence[Path], port: int
) -> Iterator[str]:
    if process == "perceive":
        for family, count in sorted(trace.families.items()):
            if family not in ("AF_UNIX", "AF_NETLINK"):
                yield f"it opened {count} sockets of {family}: it must have no network"
    else:
        for name, parts in sorted(trace.written.items()):
            remote = re.search(r"->\[?([0-9a-f.:]+?)\]?:(\d+)\]$", name)
            if remote and int(remote[2]) != port and any(parts):
                yield f"it sent {sum(map(len, parts))} bytes to {remote[1]}:{remote[2]}"
        for device in sorted(trace.devices):
            if re.search(r"/dev/(video|media|snd|v4l|dri|input|bus)", str(device)):
                yield f"it opened {device}"
    for path in sorted(trace.opened | trace.shared):
        if not may_open(path, run, kernels, any(trace.written.get(str(path), []))):
            yield f"it opened {short_name(path, run)} for writing"
    for path in sorted(trace.shared):
        if not path.name.endswith("-shm"):
            yield f"it shares memory with the file {short_name(path, run)}"
    for call in trace.covert:
        yield f"it used {call}"


def _written(process: str, trace: Trace, run: Path) -> Iterator[Artifact]:
    """All bytes written, including to deleted files."""
    for name, parts in sorted(trace.written.items()):
        if name.startswith("TCP") and process == "uplink":
            continue  # recorded by the proxy
        path = Path(name)
        kind = kind_of(path)
        where = f"{process} wrote to {short_name(path, run)}"
        if kind in ("database", "journal"):
            pages = [each for each in parts if len(each) >= 512 and len(each) % 512 == 0]
            yield Artifact(f"{where}, pages", "database", b"".join(pages))
            parts = [each for each in parts if not (len(each) >= 512 and len(each) % 512 == 0)]
            kind = "other"
        if any(parts) and not name.endswith((f"{process}.log", "/dev/null")):
            yield Artifact(where, kind, b"".join(parts))
