"""Play a video through both real processes and record everything that they send or write."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.base.config import StoreConfig, as_toml
from agent.desk.audit import _system_calls
from agent.desk.audit._artifacts import Artifact, AuditError, Evidence, Finding
from agent.desk.audit._recorders import (
    KERNELS,
    FileRecorder,
    TcpProxy,
    expected,
    kind_of,
    short_name,
)
from agent.desk.demo import configuration
from agent.desk.loopback.broker import Broker
from agent.desk.loopback.subscriber import Subscriber
from agent.host.supervise import child_environment
from agent.wall.outbox import Outbox

DEVICE = "audit"
_ARRIVAL_TIMEOUT = 30.0
"""Seconds to wait for the last summary after the end of the video."""
_STOP_TIMEOUT = 20.0
_POLL_INTERVAL = 0.25
"""Seconds."""
_MAX_EMPTY_POLLS = 8
"""Polls with an empty outbox after which no summary can arrive."""
_NOT_INHERITED = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "FLEETING_CONFIG", "LISTEN_FDS",
                  "LISTEN_PID", "RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CACHE_DIRECTORY",
                  "CONFIGURATION_DIRECTORY", "CREDENTIALS_DIRECTORY", "INVOCATION_ID")  # fmt: skip
"""Environment variables for this process, mostly set by systemd, not for its children."""
_ADVICE = "Its log is kept with --keep FOLDER; run the audit again."


@dataclass(frozen=True, slots=True)
class Processes:
    """The two commands; `--config FILE` is added to each."""

    perceive: Sequence[str] = (sys.executable, "-P", "-m", "agent.cli", "perceive")
    uplink: Sequence[str] = (sys.executable, "-P", "-m", "agent.cli", "uplink")


def record(
    video: Path, processes: Processes, workspace: Path, progress: Callable[[float], None]
) -> Evidence:
    """Run both processes and collect the evidence in `workspace`, an empty folder.

    Calls `progress` with the seconds of video summarised. Raises `AuditError` when a process fails.
    """
    run, traces = workspace / "run", workspace / "trace"
    for name in ("outbox", "home", "tmp", "cache", "cwd", "config"):
        (run / name).mkdir(parents=True)
    traces.mkdir()
    environment = _environment(run)
    kernels = _kernel_cache(environment)
    prefixes = {name: _system_calls.strace(traces / name) for name in ("perceive", "uplink")}
    notes = []
    if not prefixes["perceive"]:
        notes.append(
            "strace was not available: writes outside the audit's own folders and files that were "
            "removed within a moment may have been missed"
        )
    _compile(environment)
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Broker())
        proxy = stack.enter_context(TcpProxy(broker.port))
        reader = stack.enter_context(Subscriber("127.0.0.1", broker.port, DEVICE))
        config = configuration(video.resolve(), run / "outbox" / "outbox.db", proxy.port, DEVICE)
        settings = run / "config" / "fleeting.toml"
        settings.write_text(as_toml(config), encoding="utf-8")
        files = stack.enter_context(FileRecorder([run, *kernels], workspace / "copies"))

        def start(name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
            command = [*prefixes[name], *command, "--config", str(settings)]
            return stack.enter_context(_process(name, command, environment, workspace))

        uplink = start("uplink", processes.uplink)
        perceive = start("perceive", processes.perceive)
        while perceive.poll() is None:
            windows = [each.window for each in reader.summaries]
            progress(max(((each.offset or 0) + each.length for each in windows), default=0))
            with contextlib.suppress(subprocess.TimeoutExpired):
                perceive.wait(_POLL_INTERVAL)
        _check_exit("perceive", perceive, workspace)
        hashes = _ledger(config.store)
        _await_arrival(reader, uplink, len(hashes), config.store)
        if uplink.poll() is not None:
            _check_exit("uplink", uplink, workspace)
            raise AuditError("The audit failed: uplink ended before it was asked to. " + _ADVICE)
        _stop(uplink)
        arrived = len(reader.summaries)
    if not files.complete or proxy.full:
        raise AuditError(
            "The audit failed: more was written than it could copy. Use a shorter video."
        )
    if not files.available:
        notes.append("inotify was not available: only files that were left at the end were seen")
    evidence = Evidence(proxy.artifacts(), DEVICE, len(hashes), arrived, hashes, notes=notes)
    for each in evidence.artifacts:
        (workspace / f"{each.name}.mqtt").write_bytes(each.data)
    for name in prefixes:
        log = (workspace / f"{name}.log").read_bytes()
        evidence.artifacts.append(Artifact(f"{name}'s words (stdout, stderr)", "log", log))
    _add_files(evidence, files, run)
    for name in prefixes:
        if prefixes[name]:
            trace = _system_calls.read(traces / name)
            _system_calls.judge(evidence, name, trace, run, kernels, proxy.port)
    return evidence


def log_tail(name: str, workspace: Path) -> str:
    """The end of a process's log."""
    log = (workspace / f"{name}.log").read_text(encoding="utf-8", errors="replace")
    return " | ".join(log.splitlines()[-3:])[-600:] or "none."


def _environment(run: Path) -> dict[str, str]:
    kept = {
        name: value for name, value in child_environment().items() if name not in _NOT_INHERITED
    }
    return kept | {
        # no .pyc files in the installation
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(run / "home"),
        "TMPDIR": str(run / "tmp"),
        "XDG_CACHE_HOME": str(run / "cache"),
        "XDG_CONFIG_HOME": str(run / "home"),
    }


def _kernel_cache(environment: dict[str, str]) -> list[Path]:
    """Numba's cache folders. The existing cache is used, since compiling takes a minute."""
    given = environment.get("NUMBA_CACHE_DIR")
    if given:
        return [Path(given)]
    if os.access(KERNELS if KERNELS.exists() else KERNELS.parent, os.W_OK):
        return [KERNELS]
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "numba"
    environment["NUMBA_CACHE_DIR"] = str(user)
    return [user]


def _compile(environment: dict[str, str]) -> None:
    """Compile the kernels beforehand, so that the run does not write them."""
    warm = (
        "from agent.base.config import AgentConfig; from agent.perceive.warm_up import warm; "
        "warm(AgentConfig())"
    )
    subprocess.run(
        [sys.executable, "-P", "-c", warm],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,  # on failure they are compiled in the run
    )


@contextlib.contextmanager
def _process(
    name: str, command: Sequence[str], environment: dict[str, str], workspace: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process; kill it at the end if it still runs."""
    with (workspace / f"{name}.log").open("wb") as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=workspace / "run" / "cwd",
            start_new_session=True,  # to signal it together with strace
        )
    try:
        yield child
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Terminate gracefully. strace itself blocks SIGTERM (-I 3, the default with -o)."""
    os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise AuditError(
            f"The audit failed: uplink did not end within {_STOP_TIMEOUT:.0f} s. {_ADVICE}"
        ) from None


def _check_exit(name: str, child: subprocess.Popen[bytes], workspace: Path) -> None:
    if child.returncode:
        raise AuditError(
            f"The audit failed: {name} ended with code {child.returncode}. "
            f"Its last words: {log_tail(name, workspace)}"
        )


def _ledger(store: StoreConfig) -> frozenset[str]:
    """SHA-256 of every released message. Raises `AuditError` when there is none."""
    with Outbox(store) as outbox:
        hashes = frozenset(each[3] for each in outbox.ledger.entries())
    if not hashes:
        raise AuditError(
            "The audit failed: perception released nothing from this video. It may be shorter than "
            "a moment; take one of at least a second."
        )
    return hashes


def _await_arrival(
    reader: Subscriber, uplink: subprocess.Popen[bytes], released: int, store: StoreConfig
) -> None:
    """Wait for all released messages, or until the outbox has been empty for a while."""
    deadline = time.monotonic() + _ARRIVAL_TIMEOUT
    empty = 0
    with Outbox(store) as outbox:
        while (
            not reader.wait(released - len(reader.refused), _POLL_INTERVAL)
            and empty < _MAX_EMPTY_POLLS
        ):
            empty = empty + 1 if outbox.depth() == 0 else 0
            if time.monotonic() > deadline or uplink.poll() is not None:
                return


def _add_files(evidence: Evidence, files: FileRecorder, run: Path) -> None:
    """Add copies of files as artifacts, and unexpected files as findings."""
    sizes: dict[Path, int] = {}
    for number, (path, copy) in enumerate(files.copies):
        data = copy.read_bytes()
        sizes[path] = max(sizes.get(path, 0), len(data))
        name = f"{short_name(path, run)} (copy {number})"
        evidence.artifacts.append(Artifact(name, kind_of(path), data))
    for path in sorted(files.touched):
        size = sizes.get(path, 0)
        if not expected(path, run, size):
            what = f"{size} bytes" if size else "gone before it could be copied, or empty"
            what = f"a file that nobody expects: {what}"
            evidence.findings.append(Finding("file", short_name(path, run), None, what))
    evidence.watched = {"files": f"{len(files.touched)} files, {len(files.copies)} copies"}
