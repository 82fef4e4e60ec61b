"""Play a video through both real processes, with a voice and words of the audit's own, and record
everything that they send or write."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.base.config import StoreConfig, WordsConfig
from agent.base.errors import StoreError
from agent.base.names import as_utf8
from agent.base.settings_file import as_toml
from agent.desk.audit import _kernels
from agent.desk.audit._artifacts import Evidence
from agent.desk.audit._canary import make
from agent.desk.audit._played import Speaker, with_voice
from agent.desk.audit._recorders import FileRecorder, TcpProxy
from agent.desk.audit._reference import Frames
from agent.desk.audit._rules import Process
from agent.desk.audit._watched import Watched
from agent.desk.audit._written import WrittenStore
from agent.desk.demo import configuration
from agent.desk.loopback.broker import Broker
from agent.desk.loopback.subscriber import Subscriber
from agent.host.supervise import child_environment
from agent.wall.outbox import Outbox

DEVICE = "audit"
_ARRIVAL_TIMEOUT = 30.0
"""Seconds to wait for the last summary after the end of the video."""
_POLL_INTERVAL = 0.25
"""Seconds."""
_MAX_EMPTY_POLLS = 8
"""Polls with an empty outbox after which no summary can arrive."""
_NOT_INHERITED = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "FLEETING_CONFIG", "LISTEN_FDS",
                  "LISTEN_PID", "RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CACHE_DIRECTORY",
                  "CONFIGURATION_DIRECTORY", "CREDENTIALS_DIRECTORY", "INVOCATION_ID")  # fmt: skip
"""Environment variables for this process, mostly set by systemd, not for its children."""


@dataclass(frozen=True, slots=True)
class Processes:
    """The two commands; `--config FILE` is added to each."""

    perceive: Sequence[str] = (sys.executable, "-P", "-m", "agent.cli", "perceive")
    uplink: Sequence[str] = (sys.executable, "-P", "-m", "agent.cli", "uplink")


def record(
    video: Path,
    frames: Frames,
    processes: Processes,
    workspace: Path,
    progress: Callable[[float], None],
) -> Evidence:
    """Run both processes and collect the evidence in `workspace`, an empty folder. `frames`: those
    of the video.

    They play `Evidence.played`, a copy of the video whose sound is the canary's voice, outside of
    what is recorded; the caller removes it. Calls `progress` with the seconds of video summarised.
    What could not be recorded, and a process that failed, are named in `Evidence.unseen`.
    """
    run, traces = workspace / "run", workspace / "trace"
    for name in ("outbox", "home", "tmp", "cache", "cwd", "config", "kernels"):
        (run / name).mkdir(parents=True)
    traces.mkdir()
    environment = _environment(run)
    canary = make()
    evidence = Evidence([], DEVICE, 0, 0, frozenset(), played=workspace / "played.mkv")
    evidence.canary = canary
    problem = with_voice(video, frames, canary, evidence.played)
    if problem:
        evidence.unseen.append(f"the video could not be given a voice: {problem}")
        evidence.played = video
    problem = _kernels.fill(run / "kernels", environment)
    if problem:
        evidence.unseen.append(problem)
    store = WrittenStore()
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Broker())
        proxy = stack.enter_context(TcpProxy(broker.port))
        reader = stack.enter_context(Subscriber("127.0.0.1", broker.port, DEVICE))
        config = configuration(
            _nameable(evidence.played.resolve(), workspace),
            run / "outbox" / "outbox.db",
            proxy.port,
            DEVICE,
        )
        speaker = Speaker(workspace / "words.sock", canary.line)
        if speaker.can_be_reached:
            config = config.model_copy(update={"words": WordsConfig(socket=speaker.path)})
        settings = run / "config" / "fleeting.toml"
        settings.write_text(as_toml(config), encoding="utf-8")
        files = stack.enter_context(FileRecorder(run, store))

        def start(name: Process, command: Sequence[str]) -> Watched:
            command = [*command, "--config", str(settings)]
            watched = Watched(name, command, environment, workspace, store, proxy.port)
            return stack.enter_context(watched)

        uplink = start("uplink", processes.uplink)
        perceive = start("perceive", processes.perceive)
        stack.enter_context(speaker)
        while perceive.child.poll() is None:
            windows = [each.window for each in reader.summaries]
            progress(max(((each.offset or 0) + each.length for each in windows), default=0))
            files.look()
            with contextlib.suppress(subprocess.TimeoutExpired):
                perceive.child.wait(_POLL_INTERVAL)
        files.look()
        perceive.check_exit()
        evidence.hashes = _ledger(config.store)
        evidence.released = len(evidence.hashes)
        if not evidence.hashes:
            evidence.unseen.append(
                "perception released nothing from this video: it may be shorter than a moment; "
                "take one of at least a second"
            )
        _await_arrival(reader, uplink.child, evidence.released, config.store)
        files.look()
        uplink.stop()
        evidence.arrived = len(reader.summaries)
        evidence.lines = speaker.lines
        if not speaker.lines:
            evidence.unseen.append("no words could be said: nobody opened the socket for them")
        # the audit's own readers are gone: what is left is the agent's
    evidence.artifacts += proxy.artifacts()
    for each in evidence.artifacts:
        (workspace / f"{each.name}.mqtt").write_bytes(each.data)
    if proxy.full:
        evidence.unseen.append("more was sent than could be recorded")
    paths = (str(config.store.outbox), str(config.source.target), str(video), str(settings),
             str(speaker.path))  # fmt: skip
    evidence.watched = {"files": f"{len(files.touched)} names, {files.copies} copies"}
    for watched in (perceive, uplink):
        watched.report(evidence, paths)
    (workspace / "written").mkdir()
    for number, artifact in enumerate(store.artifacts()):
        evidence.artifacts.append(artifact)
        name = artifact.name.replace("/", "_")[:100]
        (workspace / "written" / f"{number:03d} {name}").write_bytes(artifact.data)
    evidence.findings += [*files.findings, *store.findings()]
    evidence.unseen += [
        *files.unseen,
        *(f"{each}: more was written than could be kept" for each in sorted(store.lost)),
    ]
    return evidence


def _nameable(video: Path, workspace: Path) -> Path:
    """A path for a settings file, which is UTF-8: where the video's is not, a link to it."""
    if as_utf8(video) == str(video):
        return video
    link = workspace / f"video{video.suffix if video.suffix.isascii() else ''}"
    link.symlink_to(video)
    return link


def _environment(run: Path) -> dict[str, str]:
    kept = {
        name: value for name, value in child_environment().items() if name not in _NOT_INHERITED
    }
    return kept | {
        # no .pyc files in the installation
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(run / "home"),
        "TMPDIR": str(run / "tmp"),
        "NUMBA_CACHE_DIR": str(run / "kernels"),
        "XDG_CACHE_HOME": str(run / "cache"),
        "XDG_CONFIG_HOME": str(run / "home"),
    }


def _ledger(store: StoreConfig) -> frozenset[str]:
    """SHA-256 of every released message; empty also where the outbox cannot be read."""
    try:
        with Outbox(store) as outbox:
            return frozenset(each[3] for each in outbox.ledger.entries())
    except StoreError:
        return frozenset()


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
