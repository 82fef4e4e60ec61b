"""Open files: each connection is one, and most shells allow too few."""

from __future__ import annotations

import contextlib
import resource

from tools.common.errors import ToolError

SPARE = 64
"""Files that a process has open beside its connections."""


def allow_open_files(wanted: int, who: str) -> int:
    """Raise the limit of this process (and of what it starts) to at least `wanted` open files.

    Returns the limit in force. Raises `ToolError` where the machine does not allow so many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = hard if hard != resource.RLIM_INFINITY else wanted
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, allowed), max(wanted, hard)))
        with contextlib.suppress(OSError, ValueError):
            if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted:  # not root
                resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if soft != resource.RLIM_INFINITY and soft < wanted:
            raise ToolError(
                f"{who} needs {wanted} open files and this account may have {soft}. Raise it: "
                f"`nofile {wanted}` in /etc/security/limits.conf and a new login, or as root "
                f"`ulimit -n {wanted}`; or simulate fewer devices, or in more --processes."
            )
    return wanted if soft == resource.RLIM_INFINITY else soft
