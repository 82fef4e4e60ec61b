"""Startup of the perceive process: enter the sandbox, then import libraries that start threads."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
from pathlib import Path

from agent.base.config import AgentConfig
from agent.base.errors import StoreError
from agent.host import sd_notify, swap
from agent.host.sandbox.enter import enter_perceive, restrict_perceive
from agent.perceive.content_socket import ContentSocket, socket_path

log = logging.getLogger(__name__)


def start_perceive(config: AgentConfig, stop: threading.Event) -> int:
    """Enter the sandbox, then run `process.perceive`. Returns the exit code; raises as that
    does. What the sandbox refuses is made before: the sockets, the lock on memory."""
    folders = _own_folders(config)
    sd_notify.connect()
    swap.keep_out()
    path = socket_path(config.content.socket)
    content = ContentSocket(path) if path is not None else None
    sandbox = enter_perceive(
        [*folders, *kernel_caches()],
        local_clients=config.source.kind == "gstreamer",
    )
    log.info(
        "Network %s, writing %s (%s).",
        sandbox.network,
        sandbox.writes,
        ", ".join(sandbox.layers) or "-",
    )
    if sandbox.found_open:
        log.warning("Not closed to this process: %s.", ", ".join(sandbox.found_open))
    # Imported here, so that threads of NumPy and others inherit the sandbox.
    from agent.perceive.process import perceive

    perceive(config, stop=stop, sandbox=sandbox, content=content)
    return 0


def enter_replay(folders: list[Path]) -> None:
    """Deny network access, and writing except in `folders` and the caches of libraries."""
    caches = [Path(tempfile.gettempdir()), Path.home() / ".cache", Path.home() / ".config"]
    restrict_perceive([*folders, *caches, *kernel_caches()])


def _own_folders(config: AgentConfig) -> list[Path]:
    """Folders that this process writes, created if missing: Landlock needs existing paths. The
    content socket's folder is made too, and not among them."""
    path = socket_path(config.content.socket)
    folders = [config.store.outbox.parent]
    for folder in (*folders, *([path.parent] if path else [])):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The folder {folder} cannot be made: {error.strerror}. "
                "Make it writable for this user, or set store.outbox."
            ) from None
    return folders


def kernel_caches() -> list[Path]:
    """Folders of Numba's compilation cache."""
    from agent.vision import kernels  # imports no Numba

    chosen = os.environ.get("NUMBA_CACHE_DIR")
    folders = (
        [Path(chosen)]
        if chosen
        else [Path(kernels.__file__).parent / "__pycache__", kernels.user_cache()]
    )
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
    return [folder for folder in folders if folder.is_dir()]
