"""Why an update did not happen: one error, with the reason that the fleet is told."""

from __future__ import annotations

import errno

from agent.base.errors import AgentError, reason
from agent.base.report.job import JobReason

REJECTED: frozenset[JobReason] = frozenset(
    {
        "off",
        "malformed",
        "busy",
        "expired",
        "clock",
        "base",
        "floor",
        "unlisted",
        "untrusted",
        "too_large",
        "kind",
    }
)
"""Reasons that end a job as REJECTED: nothing was tried, or what came was refused."""


class UpdateError(AgentError):
    """The update cannot go on; whatever was in force still is."""

    def __init__(self, reason: JobReason, text: str) -> None:
        super().__init__(text)
        self.reason: JobReason = reason

    @property
    def rejected(self) -> bool:
        """Whether the job ends as REJECTED; else as FAILED."""
        return self.reason in REJECTED


def disk_error(error: OSError, what: str) -> UpdateError:
    """Of a file or folder of ours that cannot be written or read."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    help_ = "Free some space." if full else "Check the disk and who owns it."
    return UpdateError(
        "disk_full" if full else "disk", f"{what} cannot be used: {reason(error)}. {help_}"
    )
