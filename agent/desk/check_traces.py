"""Whether traces of a study would be kept as the configuration asks, and how many there are."""

from __future__ import annotations

import os
import shutil
import stat

from agent.base.config import AgentConfig
from agent.base.errors import ConfigError
from agent.privacy.policy.research import keeps_traces
from agent.privacy.policy.rules import resolve


def traces(config: AgentConfig) -> tuple[bool, str, str]:
    """Whether it can work, what was found, and what to do next. Raises `ConfigError` where the
    policy refuses them."""
    asked = config.research
    if asked.traces is None:
        return True, "none are kept (research.traces)", ""
    resolve(config, live=False)
    folder, key = asked.traces, asked.key
    assert keeps_traces(config)
    assert key is not None
    from agent.perceive.traces.recorder import read_public
    from agent.perceive.traces.sealed import fingerprint
    from agent.perceive.traces.session import parts_of

    try:
        mark = fingerprint(read_public(key)).hex()
    except ConfigError as error:
        what, _, advice = str(error).partition(". ")
        return False, f"{folder}: {what}", advice
    owner = f"sudo install -d -m 0700 -o fleeting-perceive {folder}"
    try:
        mode = stat.S_IMODE(os.stat(folder).st_mode)
        if mode & 0o077:
            return False, f"{folder} is open to others (mode {mode:04o})", f"chmod 700 {folder}"
        found = parts_of(folder)
    except FileNotFoundError:
        return False, f"{folder} is not there", f"Make it: {owner}"
    except PermissionError:
        return True, f"in {folder}, which this user may not see, for key {mark}", (
            "sudo -u fleeting-perceive fleeting check looks into it."
        )  # fmt: skip
    size = sum(path.stat().st_size for parts in found.values() for path in parts)
    detail = (
        f"{len(found)} sessions in {folder}, {size / 1e6:,.1f} of {asked.max_bytes / 1e6:,.0f} MB, "
        f"kept {asked.days} days, for key {mark}"
    )
    free = shutil.disk_usage(folder).free
    if size >= asked.max_bytes:
        return False, detail, "Nothing more is kept: fetch them, or raise research.max_bytes."
    if free < asked.max_bytes - size:
        return True, f"{detail}; {free / 1e6:,.0f} MB free", "The disk is full before that."
    return True, detail, ""
