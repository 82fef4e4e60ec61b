"""Whether a job of the fleet's, or a stick, would find all that an update needs."""

from __future__ import annotations

import os
from pathlib import Path

from agent.base.config import UpdateConfig


def updates(params: UpdateConfig) -> tuple[bool, str, str]:
    """Whether it can work, what was found, and what to do next."""
    if not params.on:
        return True, "off: jobs of the fleet are rejected (update.url is empty)", ""
    detail = f"from {params.url or params.media}{_in_force(params.folder)}"
    if not _readable(params.root):
        return (
            False,
            f"{detail}: {params.root} cannot be read",
            "Put the update repository's first root metadata there: all trust begins with it.",
        )
    folder = params.exchange
    if not os.path.isdir(folder):
        return (
            False,
            f"{detail}: {folder} is not there",
            "tools/install.sh makes it; by hand, let the users of the uplink and the updater write "
            "there.",
        )
    # Each half of the agent has a user of its own, and perceive's may not look in here.
    unseen = "" if os.access(folder, os.W_OK) else f"; {folder} is not this user's to write"
    return True, detail + unseen, ""


def _readable(path: Path) -> bool:
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False


def _in_force(folder: Path) -> str:
    """The slot in use; empty where that cannot be seen."""
    try:
        links = {name: os.readlink(folder / name) for name in ("current", "confirmed")
                 if (folder / name).is_symlink()}  # fmt: skip
    except OSError:
        return ""
    if not links:
        return ", the base installation is in use" if os.access(folder, os.X_OK) else ""
    current, confirmed = links.get("current"), links.get("confirmed")
    shown = f", slot {ascii(current)[1:-1]} is in use" if current else ", the base is in use"
    return shown if current == confirmed else f"{shown} and not confirmed yet"
