"""On the device: opening a session, and withdrawing one. As the user who owns the folder:
`sudo -u fleeting-perceive fleeting review session`."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path

from agent.base.config import AgentConfig
from agent.base.errors import ConfigError
from agent.desk.review.errors import ReviewError
from agent.perceive.traces.session import (
    LONGEST,
    OpenSession,
    end_session,
    name_of,
    new_code,
    open_session,
    read_open,
    this_machine,
)
from agent.privacy.policy.research import keeps_traces
from agent.privacy.policy.rules import resolve

HINT = "On the device this is done as its user: sudo -u fleeting-perceive fleeting review …"


def folder_of(config: AgentConfig) -> Path:
    """Where this device keeps traces. Raises `ConfigError`, also where it may not."""
    resolve(config)
    folder = config.research.traces
    if folder is None or not keeps_traces(config):
        raise ConfigError(
            "This device keeps no traces. Set research.traces and research.key (docs/review.md)."
        )
    return folder


def begin(config: AgentConfig, minutes: int, *, as_json: bool) -> int:
    """Open a session and print its withdrawal code, which is stored nowhere. Raises `ConfigError`,
    `ReviewError`."""
    folder = folder_of(config)
    if not 1 <= minutes <= LONGEST // 60:
        raise ReviewError(f"A session lasts 1 to {LONGEST // 60} minutes.")
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    running = read_open(folder)
    if running is not None and running.at(now) is not None:
        raise ReviewError("A session is open. End it first: fleeting review session --end")
    code = new_code()
    name = name_of(code)
    assert name is not None
    try:
        if stat.S_IMODE(folder.stat().st_mode) & 0o077:
            raise ConfigError(
                f"research.traces {folder} is open to others. Run: chmod 700 {folder}"
            )
        open_session(folder, OpenSession(name, minutes * 60, now, this_machine()))
    except OSError as error:
        raise ReviewError(f"{folder}: {error.strerror}. {HINT}") from None
    if as_json:
        print(json.dumps({"session": name, "code": code, "minutes": minutes}))
    else:
        print(
            f"Session {name[:8]} is open for {minutes} minutes. Its withdrawal code:\n\n"
            f"    {code}\n\n"
            "Give it to the participant, on paper. It is stored nowhere and cannot be shown again."
        )
    return 0


def end(config: AgentConfig, *, as_json: bool) -> int:
    """End the open session. Raises `ConfigError`, `ReviewError`."""
    folder = folder_of(config)
    try:
        ended = end_session(folder)
    except OSError as error:
        raise ReviewError(f"{folder}: {error.strerror}. {HINT}") from None
    if as_json:
        print(json.dumps({"ended": ended}))
    else:
        print("The session has ended." if ended else "No session was open.")
    return 0
