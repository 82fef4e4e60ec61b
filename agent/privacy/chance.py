"""How many of the reported micro-expressions are false alarms: what a count is to be compared with.

The spotter reports some movements that are none, at a rate that was measured on faces that showed
none. Over the time in which a face could be analysed that gives the number expected by chance.
"""

from __future__ import annotations

from agent.config import MicroConfig

FALSE_ALARMS_PER_MINUTE = 1.5
"""Per analysable face-minute, at the default threshold."""


def false_alarm_rate(params: MicroConfig) -> float | None:
    """False alarms per analysable face-minute; None where the threshold is not the one that they
    were counted at."""
    measured_at = MicroConfig.model_fields["threshold"].default
    return FALSE_ALARMS_PER_MINUTE if params.threshold == measured_at else None
