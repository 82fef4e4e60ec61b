"""What each device's newest health message says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.fleet.alerts.finding import Finding, Findings
from tools.fleet.alerts.kinds import COOL, HOT, MANY_WAIT
from tools.fleet.store import Store

_SQL = f"""
SELECT h.device, h.perception, h.temperature, h.power, h.disk, h.waiting, h.clock
FROM devices d JOIN health h ON h.device = d.device
    AND h.received = (SELECT MAX(x.received) FROM health x WHERE x.device = d.device)
WHERE d.revoked_at IS NULL AND (h.perception IN ('absent', 'hot') OR h.temperature > {COOL}
    OR h.power IN ('undervolt', 'throttled') OR h.disk IN ('low', 'full')
    OR h.waiting >= {MANY_WAIT} OR h.clock = 'none')
"""


def look(store: Store, _now: int) -> Mapping[str, Findings]:
    """Kinds `absent`, `hot`, `power`, `clock`, `disk`, `outbox`."""
    found: dict[str, Findings] = {
        kind: {} for kind in ("absent", "hot", "power", "clock", "disk", "outbox")
    }
    for device, *said in store.tuples(_SQL):
        for kind, finding in _of(*said).items():
            found[kind][device] = finding
    return found


def _of(
    perception: str, temperature: int | None, power: str, disk: str, waiting: int, clock: str
) -> dict[str, Finding]:
    found: dict[str, Finding] = {}
    if perception == "absent":
        found["absent"] = Finding()
    degrees = temperature if temperature is not None else COOL
    if perception == "hot" or degrees > COOL:
        detail: dict[str, Any] = {"temperature": temperature, "state": perception}
        holds = perception == "hot" or degrees >= HOT
        found["hot"] = Finding(detail, hold="holds" if holds else "between")
    if power in ("undervolt", "throttled"):
        found["power"] = Finding({"state": power})
    if disk in ("low", "full"):
        found["disk"] = Finding({"state": disk}, severity="critical" if disk == "full" else None)
    if waiting >= MANY_WAIT:
        found["outbox"] = Finding({"waiting": waiting})
    if clock == "none":
        found["clock"] = Finding()
    return found
