"""What the spotter found, as coded events."""

from __future__ import annotations

import agent
from agent.base.types import MicroExpression
from agent.desk.coding.event import Event, units


def of_spotter(found: MicroExpression) -> Event:
    """Its intensity is left out: FACS's five letters are judged by eye, not by displacement."""
    return Event(
        found.onset,
        found.offset,
        found.apex,
        "micro",
        found.polarity,  # type: ignore[arg-type]
        units("+".join(found.action_units)),
        found.score,
        f"fleeting {agent.__version__}",
    )
