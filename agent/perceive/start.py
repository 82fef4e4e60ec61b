"""Start of the perceive process: the sandbox first, then the libraries that start threads."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from pathlib import Path

from agent.base.config import AgentConfig
from agent.base.errors import StoreError
from agent.host.sandbox.enter import enter_perceive, restrict_perceive
from agent.perceive.content_socket import socket_path

log = logging.getLogger(__name__)


def start_perceive(config: AgentConfig, stop: threading.Event) -> int:
    """Enter the sandbox, then perceive. Returns the exit code; raises as `process.perceive`."""
    sandbox = enter_perceive(
        [*_own_folders(config), *kernel_caches()],
        local_clients=config.source.kind == "gstreamer",
    )
    log.info(
        "Network %s, writing %s (%s).",
        sandbox.network,
        sandbox.writes,
        ", ".join(sandbox.layers) or "-",
    )
    if sandbox.network == "open":
        log.warning("This process could reach the network; the lines above say why.")
    # Imported inside: threads that NumPy and others start inherit the sandbox only then.
    from agent.perceive.process import perceive

    perceive(config, stop=stop, sandbox=sandbox)
    return 0


def enter_replay(folders: list[Path]) -> None:
    """Close the network, and all writing but for `folders` and where libraries keep their caches:
    a file played again needs no more than a camera does."""
    caches = [Path(tempfile.gettempdir()), Path.home() / ".cache", Path.home() / ".config"]
    restrict_perceive([*folders, *caches, *kernel_caches()])


def _own_folders(config: AgentConfig) -> list[Path]:
    """Where this process writes; made where missing, as rules can name existing folders only."""
    path = socket_path(config.content.socket)
    folders = [config.store.outbox.parent, *([path.parent] if path else [])]
    for folder in folders:
        _make(folder)
    return folders


def kernel_caches() -> list[Path]:
    """Where Numba may keep what it compiled."""
    from agent.vision import kernels  # decides where, and imports no Numba

    chosen = os.environ.get("NUMBA_CACHE_DIR")
    folders = (
        [Path(chosen)]
        if chosen
        else [Path(kernels.__file__).parent / "__pycache__", kernels.user_cache()]
    )
    made = []
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        made.append(folder)
    return made


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder {folder} cannot be made: {error.strerror}. "
            "Make it writable for this user, or set store.outbox."
        ) from None
