from __future__ import annotations

from types import SimpleNamespace

from agent.base.config import MicroConfig
from agent.vision.micro.false_alarms import false_alarm_rate


def test_the_rate_is_that_of_the_weights_at_the_threshold_it_was_measured_at() -> None:
    weights = {"micro": SimpleNamespace(parameters={"false_alarms_per_minute": 0.5})}
    assert false_alarm_rate(MicroConfig(), weights) == 0.5
    assert false_alarm_rate(MicroConfig(threshold=0.7), weights) is None
    assert false_alarm_rate(MicroConfig(), {}) is None
    assert false_alarm_rate(MicroConfig(), {"micro": SimpleNamespace(parameters={})}) is None
