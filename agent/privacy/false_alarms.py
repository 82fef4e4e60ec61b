"""How many of the reported micro-expressions are false alarms: what a count is to be compared with.

The spotter reports some movements that are none, at a rate that was measured on faces that showed
none and stands beside its weights. Over the time in which a face could be analysed that gives the
number expected by chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from agent.base.config import MicroConfig


class _Weights(Protocol):
    @property
    def parameters(self) -> Mapping[str, Any]: ...


def false_alarm_rate(params: MicroConfig, weights: Mapping[str, _Weights]) -> float | None:
    """False alarms per analysable face-minute; None where it is not known: the threshold is not the
    one that they were counted at, or nobody counted.

    `weights`: the manifest's, by name.
    """
    counted_at = MicroConfig.model_fields["threshold"].default
    if "micro" not in weights or params.threshold != counted_at:
        return None
    rate = weights["micro"].parameters.get("false_alarms_per_minute")
    return None if rate is None else float(rate)
