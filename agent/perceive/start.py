"""Startup of the perceive process: enter the sandbox, then import libraries that start threads."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

from agent import kernels  # imports no Numba
from agent.base.config import AgentConfig
from agent.base.errors import ConfigError, StoreError
from agent.host import heartbeat, sd_notify, swap
from agent.host.sandbox.enter import enter_perceive, restrict_perceive
from agent.perceive import content_socket, words_socket
from agent.perceive.camera_exits import CameraExits, state_folder
from agent.perceive.capture.spawn import CameraProcess
from agent.perceive.content_socket import ContentSocket
from agent.perceive.ears import import_sound, open_ears
from agent.perceive.local_socket import socket_path
from agent.privacy.policy.hearing import switched_on
from agent.privacy.policy.research import keeps_traces

log = logging.getLogger(__name__)


def start_perceive(config: AgentConfig, stop: threading.Event) -> int:
    """Enter the sandbox, then run `process.perceive`. Returns the exit code; raises as that
    does. What the sandbox refuses is made before: the sockets, the process that reads the camera,
    the lock on memory."""
    folders = [*_own_folders(config), *_trace_folder(config)]
    sd_notify.connect()
    heartbeat.open_file("perceive")
    swap.keep_out()
    path = socket_path(config.content.socket, content_socket.NAME)
    content = ContentSocket(path) if path is not None else None
    ears = open_ears(config)
    live = config.source.kind != "file"
    camera = CameraProcess(config.source) if live else None
    state = state_folder() if live else None
    listens = live and "microphone" in switched_on(config)
    if listens:
        import_sound(config.sound)
    sandbox = enter_perceive(
        [*folders, kernel_cache(), *([state] if state else [])],
        readable=_inputs(config),
        microphone=listens,
    )
    heartbeat.sandboxed(sandbox.found_open)
    log.info(
        "Network %s, writing %s (%s).",
        sandbox.network,
        sandbox.writes,
        ", ".join(sandbox.layers) or "-",
    )
    if sandbox.found_open:
        log.warning("Not closed to this process: %s.", ", ".join(sandbox.found_open))
    # Imported here, so that threads of NumPy and others inherit the sandbox; the compiler first,
    # see there.
    import agent.kernels.compiler  # noqa: F401
    from agent.perceive.process import perceive

    exits = CameraExits(state, allowed=config.source.reboot) if live else None
    perceive(
        config,
        stop=stop,
        sandbox=sandbox,
        content=content,
        ears=ears,
        camera=camera,
        exits=exits,
    )
    return 0


def enter_replay(files: list[Path], outputs: list[Path], config: AgentConfig) -> None:
    """Deny network access, reading except `files` and what perception needs, and writing except
    `outputs`, which are created, and the compiled kernels' cache."""
    drawing = (
        [kernels.user_cache().with_name("matplotlib")] if outputs and kernels.has_home() else []
    )
    if drawing:
        os.environ.setdefault("MPLCONFIGDIR", str(drawing[0]))
    restrict_perceive(
        [kernel_cache(), *_made(drawing)],
        files=[each for each in outputs if _create(each)],
        readable=[*files, *_inputs(config)],
    )


def enter_report(films: Iterable[Path], folder: Path, config: AgentConfig) -> None:
    """As `enter_replay`, with files to be read and a folder, which exists, to be written."""
    drawing = [kernels.user_cache().with_name("matplotlib")] if kernels.has_home() else []
    if drawing:
        os.environ.setdefault("MPLCONFIGDIR", str(drawing[0]))
    restrict_perceive(
        [kernel_cache(), *_made(drawing), folder], readable=[*films, *_inputs(config)]
    )


def enter_aim(config: AgentConfig) -> CameraProcess | None:
    """As `enter_replay`, with nothing to be written and the configured camera, which a process of
    its own reads; None for a film."""
    camera = CameraProcess(config.source) if config.source.kind != "file" else None
    restrict_perceive([kernel_cache()], readable=_inputs(config))
    return camera


def _create(output: Path) -> bool:
    """Whether it is an ordinary file now: in the sandbox none could be made beside others."""
    with contextlib.suppress(OSError):
        os.close(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600))
    return output.is_file()


def _inputs(config: AgentConfig) -> list[Path]:
    """Files and folders that this process reads."""
    privacy, source = config.privacy, config.source
    named = [config.models, privacy.profile, privacy.profile_key]
    named += [config.research.key] if keeps_traces(config) else []
    video = [Path(source.target)] if source.kind == "file" and source.target else []
    return [*video, *(each for each in named if each is not None)]


def _own_folders(config: AgentConfig) -> list[Path]:
    """Folders that this process writes, created if missing: Landlock needs existing paths. Those of
    the local sockets are made too, and not among them."""
    named = (config.content.socket, content_socket.NAME), (config.words.socket, words_socket.NAME)
    paths = [socket_path(configured, name) for configured, name in named]
    folders = [config.store.outbox.parent]
    for folder in (*folders, *(path.parent for path in paths if path)):
        if folder.is_dir():
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The folder {folder} cannot be made: {error.strerror}. "
                "Make it writable for this user, or set store.outbox."
            ) from None
    return folders


def _trace_folder(config: AgentConfig) -> list[Path]:
    """The folder of traces, made for this user alone; none where no traces are kept."""
    folder = config.research.traces
    if folder is None or not keeps_traces(config):
        return []
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        beyond = stat.S_IMODE(folder.stat().st_mode) & 0o077
    except OSError as error:
        raise StoreError(
            f"The folder {folder} cannot be made: {error.strerror}. Run: sudo install -d -m 0700 "
            f"-o fleeting-perceive {folder}"
        ) from None
    if beyond:
        raise ConfigError(f"research.traces {folder} is open to others. Run: chmod 700 {folder}")
    return [folder]


def kernel_cache() -> Path:
    """The folder of compiled kernels, which Numba is told: one that only sandboxed processes use,
    since what a tampered one leaves there is run by whoever loads it."""
    folders = [kernels.user_cache().with_name("fleeting")] if kernels.has_home() else []
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    made = _made([Path(chosen)] if chosen else folders)
    folder = made[0] if made else Path(tempfile.mkdtemp(prefix="fleeting-kernels-"))
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    kernels.adopt(folder)
    return folder


def _made(folders: list[Path]) -> list[Path]:
    """Those of `folders` that exist or can be made."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
    return [folder for folder in folders if folder.is_dir()]
