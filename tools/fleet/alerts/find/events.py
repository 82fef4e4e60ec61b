"""What devices' events say. An event says that something began; what ends it is another event, a
health message that says otherwise, or time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tools.fleet.alerts.finding import Finding, Findings
from tools.fleet.alerts.kinds import DAY, HOUR
from tools.fleet.store import Store

BROKEN = ("camera_stalled", "camera_frozen", "camera_green")
"""Until it restarts, or health says that pictures come."""
BLIND = ("camera_black", "camera_covered")
BLIND_FOR = 6 * HOUR
"""Seconds. No event says that the view is free again, and one that stays covered says it once."""
LOST = (
    "outbox_altered", "outbox_damaged", "outbox_trimmed", "store_failed", "summaries_lost",
)  # fmt: skip
SINCE = 7 * DAY
"""Seconds that are looked back: a microphone that is gone says so once."""
_CODES = (
    *BROKEN, *BLIND, "camera_restarted", "microphone_stalled", "microphone_restarted",
    "transcriber_failed", *LOST, "quota_exceeded",
)  # fmt: skip
_EVENTS = f"""
SELECT e.device, e.code, MAX(e.received), MIN(e.received), MAX(e.seq),
    SUM(CASE WHEN e.received > ? THEN e.count ELSE 0 END)
FROM events e JOIN devices d ON d.device = e.device AND d.revoked_at IS NULL
WHERE e.received > ? AND e.code IN ({", ".join("?" * len(_CODES))})
GROUP BY e.device, e.code
"""
_STALLED = """
SELECT h.device, h.received, h.perception FROM devices d JOIN health h ON h.device = d.device
    AND h.received = (SELECT MAX(x.received) FROM health x WHERE x.device = d.device)
WHERE d.revoked_at IS NULL AND (h.perception = 'stalled' OR h.device IN (%s))
"""
_MARKS = 5000
Said = dict[str, tuple[int, int, int]]
"""By code: the newest one's Unix seconds and number, and the times of the last day."""


def look(store: Store, now: int) -> Mapping[str, Findings]:
    """Kinds `camera`, `microphone`, `lost`, `quota`."""
    said: dict[str, Said] = {}
    for device, code, newest, _, seq, times in store.tuples(
        _EVENTS, (now - DAY, now - SINCE, *_CODES)
    ):
        said.setdefault(device, {})[code] = (newest, seq, int(times))
    found: dict[str, Findings] = {kind: {} for kind in ("camera", "microphone", "lost", "quota")}
    broken = sorted(
        device for device, events in said.items() if not events.keys().isdisjoint(BROKEN)
    )
    health = _health(store, broken)
    for device in sorted(said.keys() | health.keys()):
        events = said.get(device, {})
        for kind, finding in (
            ("camera", _camera(events, health.get(device), now)),
            ("microphone", _microphone(events, now)),
            ("lost", _recent(events, LOST, now)),
            ("quota", _recent(events, ("quota_exceeded",), now)),
        ):
            if finding is not None:
                found[kind][device] = finding
    return found


def _health(store: Store, broken: list[str]) -> dict[str, tuple[int, str]]:
    """(received, perception) of the newest health of those that stall, and of these."""
    found: dict[str, tuple[int, str]] = {}
    for start in range(0, max(1, len(broken)), _MARKS):
        some = broken[start : start + _MARKS]
        marks = ", ".join("?" * len(some)) or "''"
        for device, received, perception in store.tuples(_STALLED % marks, some):
            found[device] = (received, perception)
    return found


def _camera(events: Said, health: tuple[int, str] | None, now: int) -> Finding | None:
    if health is not None and health[1] == "stalled":
        return Finding({"state": "stalled"})
    code = _newest(events, BROKEN)
    if code is not None and events[code][0] > now - DAY:
        told, seq, _ = events[code]
        restarted = events.get("camera_restarted", (0, -1, 0))
        runs = health is not None and health[0] > told and health[1] == "running"
        if not runs and (told, seq) > restarted[:2]:
            return Finding({"state": code.removeprefix("camera_")}, since=told)
    code = _newest(events, BLIND)
    if code is not None and events[code][0] > now - BLIND_FOR:
        state = code.removeprefix("camera_")
        return Finding({"state": state}, since=events[code][0], severity="warning")
    return None


def _microphone(events: Said, now: int) -> Finding | None:
    stalled, restarted = events.get("microphone_stalled"), events.get("microphone_restarted")
    if stalled is not None and (restarted is None or stalled[:2] > restarted[:2]):
        return Finding({"state": "stalled"}, since=stalled[0])
    failed = events.get("transcriber_failed")
    if failed is not None and failed[0] > now - DAY:
        return Finding({"state": "transcriber failed"}, since=failed[0])
    return None


def _recent(events: Said, codes: Iterable[str], now: int) -> Finding | None:
    """Any of these within a day."""
    seen = {code: events[code] for code in codes if code in events and events[code][0] > now - DAY}
    if not seen:
        return None
    detail = {"codes": ", ".join(sorted(seen)), "times": sum(each[2] for each in seen.values())}
    return Finding(detail, since=max(each[0] for each in seen.values()))


def _newest(events: Said, codes: Iterable[str]) -> str | None:
    there = [code for code in codes if code in events]
    return max(there, key=lambda code: events[code][:2]) if there else None
