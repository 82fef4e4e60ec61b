"""Looks at the database: each finds the devices of some kinds of alert."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tools.fleet.alerts.find import events, health, liveness, numbers, records, trust
from tools.fleet.alerts.finding import Findings
from tools.fleet.store import Store

Beat = Callable[[], None]
Look = Callable[[Store, int, Beat], Mapping[str, Findings]]
"""Store, Unix seconds, and what to call now and then in a long look, to the findings of each kind;
a kind without any is there, empty. Raises `StoreUnavailable`, and what `Beat` raises."""


def _short(look: Callable[[Store, int], Mapping[str, Findings]]) -> Look:
    return lambda store, now, _: look(store, now)


@dataclass(frozen=True, slots=True)
class Source:
    """A look and the kinds that it knows all of."""

    kinds: tuple[str, ...]
    look: Look


SOURCES = (
    Source(("offline",), _short(liveness.look)),
    Source(("absent", "hot", "power", "clock", "disk", "outbox"), _short(health.look)),
    Source(("camera", "microphone", "lost", "quota"), _short(events.look)),
    Source(("certificate", "update", "rollout", "settings"), _short(records.look)),
    Source(("gap", "refused", "takeover"), _short(records.look_at_messages)),
    Source(("sandbox", "receipt"), _short(trust.look)),
    Source(("visits", "withheld"), numbers.look),
)
"""In this order, each as often as the least `every` of its kinds says."""
