"""Why a device has no certificate yet, or keeps the one it has."""

from __future__ import annotations

from agent.base.errors import AgentError


class EnrolError(AgentError):
    """Somebody must do something; the certificate in use, if any, stays."""


class WaitingError(EnrolError):
    """Nothing is wrong: approval, clock or broker are still awaited (EX_TEMPFAIL of sysexits.h).
    The next run goes on with the same key."""

    exit_code = 75
