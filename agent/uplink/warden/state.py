"""What the warden remembers, in a file of the uplink's own.

Written whole, fsynced and renamed before anything newly admitted is sent: after a kill or a power
loss nothing is granted twice and nothing admitted is forgotten.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from agent.base.config import StoreConfig
from agent.base.device_time import Instant
from agent.base.errors import StoreError
from agent.base.files import write_atomically
from agent.uplink.warden.log import SlidingCount, SlidingSet

log = logging.getLogger(__name__)

_NAME = "warden.json"
_MAX_BYTES = 64_000_000

Counted = Literal[
    "summary", "run", "event", "receipt", "meta", "health", "shadow/reported", "discovery", "res",
    "connection", "job",
]  # fmt: skip


@dataclass(slots=True)
class Run:
    """One start of the perceive process, or what follows a step of its wall clock."""

    boot: str
    seq: int
    """Of its newest summary."""
    model: str
    ends: dict[int, int] = field(default_factory=dict)
    """By slot, the end of its newest window on its own clock, seconds."""
    timed: dict[int, int] = field(default_factory=dict)
    """By slot, the end of its newest window of known wall time, UTC seconds."""
    newest: int | None = None
    """The newest of `timed`."""
    length: int = 0
    """Seconds of the newest window."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The constants of a summary under one policy."""

    policy: str
    policy_hash: str
    k: int
    epsilon_milli: int
    window: int
    form: int = 1
    """Version of the summary: the second one where microphone or words are on."""


@dataclass(slots=True)
class State:
    """Everything that is stored."""

    time: Instant | None = None
    counts: dict[Counted, SlidingCount] = field(default_factory=dict)
    slots: SlidingSet = field(default_factory=SlidingSet)
    run: Run | None = None
    closed: list[str] = field(default_factory=list)
    """Boots that a later one has followed, newest last."""
    rules: list[tuple[Rules, int]] = field(default_factory=list)
    """Policies that were in force, and when last, seconds elapsed."""
    admitted: dict[int, str] = field(default_factory=dict)
    """Rows of the outbox that may be sent: SHA-256 of kind and body, first 32 digits, by id."""
    bodies: dict[str, str] = field(default_factory=dict)
    """The last admitted retained message by kind."""
    offsets: list[tuple[int, int]] = field(default_factory=list)
    """By how much the trusted wall clock was ahead of the elapsed time, and when last, seconds:
    what waits may tell the time of a clock that was set since."""
    health: int | None = None
    """When the last one was sent, seconds elapsed."""


_STATE: TypeAdapter[State] = TypeAdapter(State)


def state_path(params: StoreConfig) -> Path:
    """As configured, else in the folder that systemd made for the uplink, else in one beside the
    outbox's folder: the perceive process may write in that one, and its sandbox keeps it out of
    this. Beside the outbox where no such folder can be made."""
    if params.warden is not None:
        return params.warden
    folder = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if folder:
        return Path(folder) / _NAME
    shared = params.outbox.absolute().parent
    own = shared.with_name(f"{shared.name}-uplink")
    return (own if own.exists() or _can_be_made(own) else shared) / _NAME


def is_exposed(path: Path, params: StoreConfig) -> bool:
    """Whether the perceive process may write there: its state then holds only while the uplink
    runs, and a taken-over perceive process can begin the day anew at its next start."""
    return path.absolute().is_relative_to(params.outbox.absolute().parent)


def _can_be_made(folder: Path) -> bool:
    there = next(each for each in folder.parents if each.exists())
    return os.access(there, os.W_OK)


def make_folder(path: Path) -> None:
    """Create the file's folder, for this user only. Raises `StoreError`."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder {path.parent} cannot be made: {error.strerror}. The uplink remembers "
            "there what left today; make it writable for its user, or set store.warden."
        ) from None


def load(path: Path) -> State:
    """The stored state; a new one where there is none or it is damaged. Raises `StoreError` where
    it cannot be read."""
    try:
        with path.open("rb") as file:
            return _STATE.validate_json(file.read(_MAX_BYTES))
    except FileNotFoundError:
        return State()
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read: {error.strerror}. It must belong to the user that the uplink "
            "runs as."
        ) from None
    except ValueError:
        log.error("%s is damaged: the day's quotas begin anew.", path)
        return State()


def save(path: Path, state: State) -> None:
    """Replace the file. Raises `StoreError`."""
    try:
        write_atomically(path, _STATE.dump_json(state), mode=0o600)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror}. Nothing new is sent until it can; free "
            "disk space."
        ) from None
