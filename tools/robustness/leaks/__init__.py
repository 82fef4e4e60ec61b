"""A test build that leaks on purpose, so that everybody can see `fleeting audit` fail.

Production code has no switch for any of this: the two real processes are wrapped, and what they
call is replaced in memory.
"""

from __future__ import annotations

import sys

from agent.desk.audit.recording import Processes


def processes(kind: str) -> Processes:
    """Both commands with one of `kinds.KINDS` built in, or several joined by `+`."""
    wrapped = (sys.executable, "-P", "-m", "tools.robustness.leaks.process", kind)
    return Processes((*wrapped, "perceive"), (*wrapped, "uplink"))
