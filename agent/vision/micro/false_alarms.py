"""False-alarm rate of the spotter, measured on faces without micro-expressions and stored with its
weights. Multiplied by the analysable minutes it gives the expected false alarms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from agent.base.config import MicroConfig


class _Weights(Protocol):
    @property
    def parameters(self) -> Mapping[str, Any]: ...


def false_alarm_rate(params: MicroConfig, weights: Mapping[str, _Weights]) -> float | None:
    """False alarms per analysable face-minute; None where it was not measured, or at another
    threshold than `params` has.

    `weights`: the manifest's, by name.
    """
    measured_at = MicroConfig.model_fields["threshold"].default
    if "micro" not in weights or params.threshold != measured_at:
        return None
    rate = weights["micro"].parameters.get("false_alarms_per_minute")
    return None if rate is None else float(rate)
