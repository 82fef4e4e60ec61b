"""A clock that the agent trusts, for commands that are tried on a machine where nobody keeps it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from agent.base.clock import WallClock
from tools.common.errors import ToolError

_MARKED = (
    "{ [ -d /run/systemd/timesync ] || mount -t tmpfs tmpfs /run; } && "
    "mkdir -p /run/systemd/timesync && mount -t tmpfs tmpfs /run/systemd/timesync && "
    ': > /run/systemd/timesync/synchronized && exec "$@"'
)
"""systemd-timesyncd's mark, in a mount namespace of the command's own."""


def with_trusted_clock(command: Sequence[str]) -> list[str]:
    """The command as it is where this machine's clock is synchronised; else in a mount namespace in
    which it says so. Raises `ToolError` where this user may make none."""
    if WallClock()().trust != "none":
        return list(command)
    users = [] if os.geteuid() == 0 else ["--map-root-user"]
    wrapped = ["unshare", *users, "--mount", "--", "/bin/sh", "-c", _MARKED, "sh"]
    try:
        subprocess.run([*wrapped, "true"], check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        raise ToolError(
            "This machine's clock is not synchronised, so no update is trusted here, and this user "
            "may make no mount namespace to try one all the same. Start NTP, or run it as root."
        ) from None
    return [*wrapped, *command]
