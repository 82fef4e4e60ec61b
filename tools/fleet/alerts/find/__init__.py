"""Looks at the database: each finds the devices of some kinds of alert."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tools.fleet.alerts.find import events, health, liveness, numbers, records, trust
from tools.fleet.alerts.finding import Findings
from tools.fleet.store import Store

Look = Callable[[Store, int], Mapping[str, Findings]]
"""Store and Unix seconds to the findings of each kind; a kind without any is there, empty. Raises
`StoreUnavailable`."""


@dataclass(frozen=True, slots=True)
class Source:
    """A look and the kinds that it knows all of."""

    kinds: tuple[str, ...]
    look: Look


SOURCES = (
    Source(("offline",), liveness.look),
    Source(("absent", "hot", "power", "clock", "disk", "outbox"), health.look),
    Source(("camera", "microphone", "lost", "quota"), events.look),
    Source(("certificate", "update", "rollout", "settings"), records.look),
    Source(("gap", "refused", "takeover"), records.look_at_messages),
    Source(("sandbox", "receipt"), trust.look),
    Source(("visits", "withheld"), numbers.look),
)
"""In this order, each as often as the least `every` of its kinds says."""
