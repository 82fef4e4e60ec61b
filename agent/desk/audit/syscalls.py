"""What a process asked the kernel for, by strace(1) where it is installed and permitted."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_CALLS = (
    "%network,open,openat,openat2,creat,write,pwrite64,writev,pwritev,pwritev2,mmap,sendfile,"
    "copy_file_range,splice,vmsplice,link,linkat,symlink,symlinkat,rename,renameat,"
    "renameat2,mkdir,mkdirat,mknod,mknodat,setxattr,fsetxattr,lsetxattr,shmget,mq_open,"
    "io_uring_setup,ptrace,process_vm_writev,truncate,ftruncate"
)
_LINE = re.compile(rb"(\w+)\((.*)\)\s+= (-?\d+|0x[0-9a-f]+)(?:<((?:\\x[0-9a-f]{2})*)>)?")
_TEXT = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"')
_FD = re.compile(rb"(?<![\w>])(\d+)<((?:\\x[0-9a-f]{2}|[^<>\\])*)>")
_OPENS = {b"open", b"openat", b"openat2", b"creat"}
_WRITES = {b"write", b"pwrite64", b"writev", b"pwritev", b"pwritev2"}
_NAMES = {b"rename", b"renameat", b"renameat2", b"link", b"linkat"}
_SENDS = {b"sendto", b"sendmsg", b"sendmmsg"}
_ODD = {b"shmget", b"mq_open", b"io_uring_setup", b"ptrace", b"process_vm_writev",
        b"setxattr", b"fsetxattr", b"lsetxattr", b"symlink", b"symlinkat", b"linkat",
        b"sendfile", b"copy_file_range", b"splice", b"vmsplice", b"mknod", b"mknodat"}  # fmt: skip


@dataclass(slots=True)
class Trace:
    """The calls of one process that succeeded and matter here."""

    families: dict[str, int] = field(default_factory=dict)
    """Sockets opened, by address family."""
    refused: dict[str, int] = field(default_factory=dict)
    """Sockets that the kernel refused, by address family: the cage, or its own test."""
    connects: list[str] = field(default_factory=list)
    opened: set[Path] = field(default_factory=set)
    """Files opened for writing, or made."""
    devices: set[Path] = field(default_factory=set)
    """Nodes below /dev opened."""
    shared: set[Path] = field(default_factory=set)
    """Files mapped so that what is written in memory reaches them."""
    written: dict[str, list[bytes]] = field(default_factory=dict)
    """Bytes of each write, by file, pipe or socket."""
    odd: list[str] = field(default_factory=list)
    """Calls by which bytes could leave unseen."""
    calls: int = 0


def prefix(output: Path) -> list[str]:
    """The command in front of a command; empty where strace cannot be used."""
    path = shutil.which("strace")
    if path is None:
        return []
    # `?`: go without where this machine's kernel has no such call
    calls = ",".join(f"?{each}" if not each.startswith("%") else each for each in _CALLS.split(","))
    head = [path, "-f", "-ff", "-yy", "-xx", "-s", "1000000", "-qq", "-e", f"trace={calls}",
            "-e", "signal=none"]  # fmt: skip
    for each in (["--seccomp-bpf"], []):
        # without -ff for the trial: nothing is to be left behind
        trial = [*(word for word in head if word != "-ff"), *each, "-o", "/dev/null", "true"]
        done = subprocess.run(trial, capture_output=True, check=False, timeout=20)
        if done.returncode == 0 and not done.stderr:
            return [*head, *each, "-o", str(output)]
    return []


def read(output: Path) -> Trace:
    """All that strace wrote to `output`.PID files."""
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
    call, arguments, answer = found[1], found[2], found[3]
    if call in (b"socket", b"socketpair"):
        family = arguments.split(b",", 1)[0].decode("ascii", "replace")
        where = trace.refused if answer.startswith(b"-") else trace.families
        where[family] = where.get(family, 0) + 1
        return
    if answer.startswith(b"-") and not (call == b"connect" and b"EINPROGRESS" in line):
        return
    if call in _OPENS:
        _open(trace, arguments, found[4])
    elif call in _WRITES:
        _write(trace, arguments)
    elif call in _SENDS:
        _write(trace, arguments, "socket ")
    elif call in (b"connect", b"bind"):
        trace.connects.append(f"{call.decode()} {_words(arguments)}")
    elif call == b"mmap":
        if b"MAP_SHARED" in arguments and b"PROT_WRITE" in arguments:
            named = _FD.search(arguments)
            if named:
                trace.shared.add(Path(_text(named[2])))
    elif call in _NAMES:
        texts = _TEXT.findall(arguments)
        if texts:
            trace.opened.add(Path(_text(texts[-1])))
    elif call in _ODD:
        trace.odd.append(f"{call.decode()} {_words(arguments)[:200]}")


def _open(trace: Trace, arguments: bytes, answer: bytes | None) -> None:
    path = Path(_text(answer)) if answer else Path(_text((_TEXT.findall(arguments) or [b""])[0]))
    if re.search(rb"O_(WRONLY|RDWR|CREAT|TMPFILE)", arguments):
        trace.opened.add(path)
    if str(path).startswith("/dev/") and not str(path).startswith("/dev/shm/"):
        trace.devices.add(path)


def _write(trace: Trace, arguments: bytes, prefix: str = "") -> None:
    named = _FD.match(arguments)
    name = prefix + (_text(named[2]) if named else "unknown")
    trace.written.setdefault(name, []).append(b"".join(_bytes(arguments)))


def _bytes(arguments: bytes) -> Iterator[bytes]:
    for text in _TEXT.findall(arguments):
        yield bytes.fromhex(text.replace(b"\\x", b"").decode())


def _text(text: bytes) -> str:
    """Paths are written as \\x..; sockets and pipes as words."""
    plain = re.sub(rb"\\x([0-9a-f]{2})", lambda each: bytes.fromhex(each[1].decode()), text)
    return plain.decode("utf-8", "backslashreplace").removesuffix("(deleted)")


def _words(arguments: bytes) -> str:
    return re.sub(r"\s+", " ", _text(arguments))[:300]
