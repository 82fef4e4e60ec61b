"""Play a video through the two real processes and keep everything that they send or write."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.base.config import StoreConfig, as_toml
from agent.base.report import Summary
from agent.desk.audit import syscalls
from agent.desk.audit.evidence import AuditError, Evidence, Finding, Item, Kind
from agent.desk.audit.proxy import Tap
from agent.desk.audit.syscalls import Trace
from agent.desk.audit.watch import Watcher
from agent.desk.demo import configuration
from agent.desk.loopback.broker import Broker
from agent.desk.loopback.subscriber import Subscriber
from agent.host import child_process
from agent.wall.outbox import Outbox

DEVICE = "audit"
ARRIVAL = 30.0
"""Seconds to wait for the last summary once the video is over."""
_FAREWELL = 20.0
_EMPTY = 8
"""Quarters of a second for which the outbox is empty: what has not arrived by then never will."""
_ROOT = Path(__file__).resolve().parents[3]
_KERNELS = _ROOT / "agent" / "vision" / "kernels" / "__pycache__"
_OUTBOX = re.compile(
    r"outbox/(outbox\.db(-wal|-shm|-journal|\.lock)?|\.?(settings\.json|receipt\.key)(\.[a-z0-9_]{3,8})?)"
)
"""The last: written under another name first, then renamed."""
_PROBE = re.compile(r"(tmp|cwd|home|cache)/[a-z0-9_]{8}")
"""Python's `tempfile` tries whether a folder can be written, with four bytes."""
_KERNEL = re.compile(r".+\.(nbi|nbc)(\.\w+)*|tmp\w+|\w*\.pyc(\.\d+)?")
_NAMELESS = re.compile(r"#\d+")
_FOREIGN = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "FLEETING_CONFIG", "LISTEN_FDS",
            "LISTEN_PID", "RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CACHE_DIRECTORY",
            "CONFIGURATION_DIRECTORY", "CREDENTIALS_DIRECTORY", "INVOCATION_ID")  # fmt: skip
"""What systemd may have told the audit itself and is not meant for the two halves."""

Progress = Callable[[float], None]
"""Told the seconds of video that have been summarised."""


@dataclass(frozen=True, slots=True)
class Processes:
    """The two commands; `--config FILE` is added to each."""

    perceive: Sequence[str] = (sys.executable, "-P", "-m", "agent.cli", "perceive")
    uplink: Sequence[str] = (sys.executable, "-P", "-m", "agent.cli", "uplink")


def record(video: Path, processes: Processes, workspace: Path, progress: Progress) -> Evidence:
    """Run it and gather the evidence; `workspace` is an empty folder.

    Raises `AuditError` when a process fails.
    """
    run = workspace / "run"
    for name in ("outbox", "home", "tmp", "cache", "cwd", "config"):
        (run / name).mkdir(parents=True)
    (workspace / "trace").mkdir()
    environment = _environment(run)
    kernels = _kernel_cache(environment)
    before = {half: syscalls.prefix(workspace / "trace" / half) for half in ("perceive", "uplink")}
    notes = []
    if not before["perceive"]:
        notes.append(
            "strace was not available: writes outside the audit's own folders and files that were "
            "removed within a moment may have been missed"
        )
    _compile(environment)
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Broker())
        tap = stack.enter_context(Tap(broker.port))
        reader = stack.enter_context(Subscriber("127.0.0.1", broker.port, DEVICE))
        config = configuration(video.resolve(), run / "outbox" / "outbox.db", tap.port, DEVICE)
        settings = run / "config" / "fleeting.toml"
        settings.write_text(as_toml(config), encoding="utf-8")
        files = stack.enter_context(Watcher([run, *kernels], workspace / "copies"))
        tail = ["--config", str(settings)]
        uplink = stack.enter_context(
            _half("uplink", [*before["uplink"], *processes.uplink, *tail], environment, workspace)
        )
        perceive = stack.enter_context(
            _half(
                "perceive", [*before["perceive"], *processes.perceive, *tail], environment,
                workspace,
            )
        )  # fmt: skip
        while perceive.poll() is None:
            seen = reader.summaries
            progress(max((_end(each) for each in seen), default=0))
            with contextlib.suppress(subprocess.TimeoutExpired):
                perceive.wait(0.25)
        _ended_well("perceive", perceive, workspace)
        hashes = _ledger(config.store)
        _await_arrival(reader, uplink, len(hashes), config.store)
        if uplink.poll() is not None:
            _ended_well("uplink", uplink, workspace)
            raise AuditError("The audit failed: uplink ended before it was asked to. " + _AGAIN)
        _stop(uplink)
        arrived = len(reader.summaries)
    if not files.complete or tap.full:
        raise AuditError(
            "The audit failed: more was written than it could copy. Use a shorter video."
        )
    if not files.available:
        notes.append("inotify was not available: only files that were left at the end were seen")
    evidence = Evidence(tap.items(), DEVICE, len(hashes), arrived, hashes, notes=notes)
    for item in evidence.items:
        (workspace / f"{item.name}.mqtt").write_bytes(item.data)
    evidence.items += _logs(workspace)
    _take_files(evidence, files, run)
    for half in ("perceive", "uplink"):
        if before[half]:
            trace = syscalls.read(workspace / "trace" / half)
            _take_trace(evidence, half, trace, run, kernels, tap.port)
    return evidence


def _end(summary: Summary) -> int:
    """Seconds of the file up to which it was summarised."""
    return (summary.window.offset or 0) + summary.window.length


_AGAIN = "Its last words are kept with --keep FOLDER; run the audit again."


def _environment(run: Path) -> dict[str, str]:
    kept = {
        name: value for name, value in child_process.environment().items() if name not in _FOREIGN
    }
    return kept | {
        # compiled modules would be written all over the installation
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(run / "home"),
        "TMPDIR": str(run / "tmp"),
        "XDG_CACHE_HOME": str(run / "cache"),
        "XDG_CONFIG_HOME": str(run / "home"),
    }


def _compile(environment: dict[str, str]) -> None:
    """Kernels are compiled beforehand: what is not written in the run need not be searched."""
    warm = (
        "from agent.base.config import AgentConfig; from agent.perceive.warm_up import warm; "
        "warm(AgentConfig())"
    )
    subprocess.run(
        [sys.executable, "-P", "-c", warm],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,  # then they are compiled in the run
    )


def _kernel_cache(environment: dict[str, str]) -> list[Path]:
    """Where Numba keeps compiled kernels: those that are there are used, since compiling takes a
    minute; what changes there is searched."""
    given = environment.get("NUMBA_CACHE_DIR")
    if given:
        return [Path(given)]
    if os.access(_KERNELS if _KERNELS.exists() else _KERNELS.parent, os.W_OK):
        return [_KERNELS]
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "numba"
    environment["NUMBA_CACHE_DIR"] = str(user)
    return [user]


@contextlib.contextmanager
def _half(
    name: str, command: Sequence[str], environment: dict[str, str], workspace: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """One of the two processes, ended by force should it still run."""
    with (workspace / f"{name}.log").open("wb") as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=workspace / "run" / "cwd",
        )
    try:
        yield child
    finally:
        if child.poll() is None:
            _signal(child, signal.SIGKILL)
            child.wait()


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To the process itself: strace in front of it would swallow a request to end."""
    pids = [child.pid]
    with contextlib.suppress(OSError):
        inner = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        if "strace" in Path(f"/proc/{child.pid}/comm").read_text():
            pids = [int(each) for each in inner] + ([child.pid] if number == signal.SIGKILL else [])
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Ask to end, so that it says goodbye and writes what it still has to."""
    _signal(child, signal.SIGTERM)
    try:
        child.wait(_FAREWELL)
    except subprocess.TimeoutExpired:
        raise AuditError(
            f"The audit failed: uplink did not end within {_FAREWELL:.0f} s. {_AGAIN}"
        ) from None


def _ended_well(name: str, child: subprocess.Popen[bytes], workspace: Path) -> None:
    if child.returncode:
        raise AuditError(
            f"The audit failed: {name} ended with code {child.returncode}. "
            f"Its last words: {last_words(name, workspace)}"
        )


def last_words(name: str, workspace: Path) -> str:
    """The end of a process's log."""
    log = (workspace / f"{name}.log").read_text(encoding="utf-8", errors="replace")
    return " | ".join(log.splitlines()[-3:])[-600:] or "none."


def _ledger(store: StoreConfig) -> frozenset[str]:
    """SHA-256 of every body that perception released. Raises `AuditError` when there is none."""
    with Outbox(store) as outbox:
        hashes = frozenset(each[3] for each in outbox.ledger())
    if not hashes:
        raise AuditError(
            "The audit failed: perception released nothing from this video. It may be shorter than "
            "a moment; take one of at least a second."
        )
    return hashes


def _await_arrival(
    reader: Subscriber, uplink: subprocess.Popen[bytes], released: int, store: StoreConfig
) -> None:
    """Wait for every release, good or bad, or until the outbox has been empty for a while."""
    deadline = time.monotonic() + ARRIVAL
    empty = 0
    with Outbox(store) as outbox:
        while not reader.wait(released - len(reader.refused), 0.25) and empty < _EMPTY:
            empty = empty + 1 if outbox.depth() == 0 else 0
            if time.monotonic() > deadline or uplink.poll() is not None:
                return


def _logs(workspace: Path) -> list[Item]:
    return [
        Item(f"{name}'s words (stdout, stderr)", "log", (workspace / f"{name}.log").read_bytes())
        for name in ("perceive", "uplink")
    ]


def _take_files(evidence: Evidence, files: Watcher, run: Path) -> None:
    """The copies as items; files that nobody expects as findings."""
    sizes: dict[Path, int] = {}
    for path, copy in files.copies:
        data = copy.read_bytes()
        sizes[path] = max(sizes.get(path, 0), len(data))
        number = copy.name.split("-", 1)[0].lstrip("0") or "0"
        evidence.items.append(Item(f"{_short(path, run)} (copy {number})", _kind(path), data))
    for path in sorted(files.touched):
        if not _expected(path, run, sizes.get(path, 0)):
            size = sizes.get(path)
            what = f"{size} bytes" if size else "gone before it could be copied, or empty"
            evidence.findings.append(
                Finding("file", _short(path, run), None, f"a file that nobody expects: {what}")
            )
    evidence.watched = {"files": f"{len(files.touched)} files, {len(files.copies)} copies"}


def _expected(path: Path, run: Path, size: int) -> bool:
    if _NAMELESS.fullmatch(path.name) and not size:
        return True  # only tried whether the folder can be written
    if not path.is_relative_to(run):
        return bool(_KERNEL.fullmatch(path.name))
    name = path.relative_to(run).as_posix()
    return bool(_OUTBOX.fullmatch(name)) or (bool(_PROBE.fullmatch(name)) and size <= 4)


def _kind(path: Path) -> Kind:
    if re.search(r"\.nb[ic]", path.name) or path.parent == _KERNELS:
        return "kernel"
    if path.name.startswith("outbox.db"):
        tail = path.name.removeprefix("outbox.db")
        kinds: dict[str, Kind] = {
            "": "database", "-wal": "journal", "-journal": "journal", "-shm": "index",
        }  # fmt: skip
        return kinds.get(tail, "other")
    return "other"


def _short(path: Path, run: Path) -> str:
    return path.relative_to(run).as_posix() if path.is_relative_to(run) else str(path)


def _take_trace(
    evidence: Evidence, half: str, trace: Trace, run: Path, kernels: Sequence[Path], port: int
) -> None:
    """What the system calls of one half say."""
    sockets = ", ".join(f"{count} {name}" for name, count in sorted(trace.families.items()))
    refused = ", ".join(f"{count} {name}" for name, count in sorted(trace.refused.items()))
    evidence.watched = {
        **evidence.watched,
        f"{half}'s system calls": f"{trace.calls} traced; sockets: {sockets or 'none'}"
        + (f", refused: {refused}" if refused else ""),
    }

    def found(what: str) -> None:
        evidence.findings.append(Finding("call", half, None, what))

    if half == "perceive":
        for name, count in sorted(trace.families.items()):
            if name not in ("AF_UNIX", "AF_NETLINK"):
                found(f"it opened {count} sockets of {name}: it must have no network")
    for name, parts in sorted(trace.written.items()):
        remote = re.search(r"->\[?([0-9a-f.:]+?)\]?:(\d+)\]$", name)
        if half == "uplink" and remote and int(remote[2]) != port and any(parts):
            found(f"it sent {sum(map(len, parts))} bytes to {remote[1]}:{remote[2]}")
    for device in sorted(trace.devices):
        if half == "uplink" and re.search(r"/dev/(video|media|snd|v4l|dri|input|bus)", str(device)):
            found(f"it opened {device}")
    for path in sorted(trace.opened | trace.shared):
        written = any(trace.written.get(str(path), []))
        if not _may_write(path, run, kernels, written):
            found(f"it opened {_short(path, run)} for writing")
    for path in sorted(trace.shared):
        if not path.name.endswith("-shm"):
            found(f"it shares memory with the file {_short(path, run)}")
    for odd in trace.odd:
        found(f"it used {odd}")
    _written(evidence, half, trace, run)


def _may_write(path: Path, run: Path, kernels: Sequence[Path], written: bool) -> bool:
    if _NAMELESS.fullmatch(path.name) and not written:
        return True
    if path in (Path("/dev/null"), Path("/dev/tty")):
        return True
    if path.is_relative_to(run):
        return _expected(path, run, 0)
    return any(path.is_relative_to(each) for each in kernels) and bool(
        _KERNEL.fullmatch(path.name) or _NAMELESS.fullmatch(path.name)
    )


def _written(evidence: Evidence, half: str, trace: Trace, run: Path) -> None:
    """Every byte of every write, also of files that are gone."""
    for name, parts in sorted(trace.written.items()):
        if name.startswith("TCP") and half == "uplink":
            continue  # the tap between uplink and broker has it
        path = Path(name)
        kind = _kind(path)
        where = f"{half} wrote to {_short(path, run)}"
        if kind in ("database", "journal"):
            pages = [each for each in parts if len(each) >= 512 and len(each) % 512 == 0]
            evidence.items.append(Item(f"{where}, pages", "database", b"".join(pages)))
            parts = [each for each in parts if not (len(each) >= 512 and len(each) % 512 == 0)]
            kind = "other"
        if name.endswith((f"{half}.log", "/dev/null")):
            continue
        if any(parts):
            evidence.items.append(Item(where, kind, b"".join(parts)))
