"""What the database's own records say: certificates, jobs, settings, missing and refused messages,
and two devices that use one id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from tools.fleet.alerts.finding import Finding, Findings
from tools.fleet.alerts.kinds import (
    CERTIFICATE_CRITICAL,
    CERTIFICATE_DAYS,
    DAY,
    REFUSED_MANY,
    Severity,
)
from tools.fleet.controller.wishes import parse_reported
from tools.fleet.store import Store

WEEK = 7 * DAY
UNTRUSTED = ("untrusted", "floor", "unlisted", "too_large")
"""Reasons of a rejected job that speak of the repository: `FleetingUpdateUntrusted` of
rules.yml."""
RETURNS = 2
"""Times that health went back to an earlier start: once could be two collectors' order."""
_MOST_NAMED = 5


def look(store: Store, now: int) -> Mapping[str, Findings]:
    """Kinds `certificate`, `update`, `rollout`, `settings`."""
    return {
        "certificate": _certificates(store, now),
        "update": _updates(store, now),
        "rollout": _rollouts(store, now),
        "settings": _settings(store),
    }


def look_at_messages(store: Store, now: int) -> Mapping[str, Findings]:
    """Kinds `gap`, `refused`, `takeover`."""
    return {
        "gap": _gaps(store, now),
        "refused": _refused(store, now),
        "takeover": _takeovers(store, now),
    }


def _certificates(store: Store, now: int) -> Findings:
    found: Findings = {}
    for device, end in store.tuples(
        "SELECT device, certificate_end FROM devices"
        " WHERE revoked_at IS NULL AND certificate_end < ?",
        (now + CERTIFICATE_DAYS * DAY,),
    ):
        left = (end - now) // DAY
        severity: Severity | None = "critical" if left < CERTIFICATE_CRITICAL else None
        detail = {"days": max(0, left), "end": end}
        found[device] = Finding(detail, end - CERTIFICATE_DAYS * DAY, severity)
    return found


def _updates(store: Store, now: int) -> Findings:
    found: Findings = {}
    for device, newest in store.tuples(
        "SELECT e.device, MAX(CASE WHEN e.code = 'update_rolled_back' THEN e.received END) FROM"
        " events e JOIN devices d ON d.device = e.device AND d.revoked_at IS NULL"
        " WHERE e.received > ? AND e.code IN ('update_rolled_back', 'update_installed')"
        " GROUP BY e.device HAVING MAX(CASE WHEN e.code = 'update_rolled_back' THEN e.received"
        " ELSE 0 END) > MAX(CASE WHEN e.code = 'update_installed' THEN e.received ELSE 0 END)",
        (now - WEEK,),
    ):
        detail = {"target": "from a medium", "version": "", "status": "ROLLED_BACK", "reason": "-"}
        found[device] = Finding(detail, newest)
    for device, kind, version, status, step, reason, ended in store.tuples(
        "SELECT j.device, j.kind, j.version, j.status, j.step, j.reason, j.ended_at FROM jobs j"
        " JOIN devices d ON d.device = j.device AND d.revoked_at IS NULL"
        " WHERE j.created_at > ? AND NOT EXISTS (SELECT 1 FROM jobs k WHERE k.device = j.device"
        " AND k.created_at > j.created_at)",
        (now - 4 * WEEK,),
    ):
        failed = status in ("FAILED", "TIMED_OUT", "REJECTED")
        if not failed or ended is None or ended <= now - WEEK:
            found.pop(device, None)
            continue
        severity: Severity | None = None
        if status == "REJECTED":
            severity = "critical" if reason in UNTRUSTED else "info" if reason == "base" else None
        detail = {
            "target": kind, "version": version, "reason": reason or "-",
            "status": step if step == "ROLLED_BACK" else status,
        }  # fmt: skip
        found[device] = Finding(detail, ended, severity)
    return found


def _rollouts(store: Store, now: int) -> Findings:
    rows = store.tuples(
        "SELECT rollout, COALESCE(ended_at, created_at) FROM rollouts WHERE status = 'HALTED'"
        " AND COALESCE(ended_at, created_at) > ? ORDER BY 2 DESC, 1",
        (now - WEEK,),
    )
    if not rows:
        return {}
    detail = {"rollouts": _some(row[0] for row in rows)}
    return {"": Finding(detail, min(row[1] for row in rows))}


def _settings(store: Store) -> Findings:
    found: Findings = {}
    for device, body in store.tuples(
        "SELECT device, reported FROM devices WHERE revoked_at IS NULL"
        " AND reported LIKE '%\"rejected\":[{%'"
    ):
        reported = parse_reported(body)
        if reported is not None and reported.rejected:
            refused = _some(f"{each.path} ({each.reason})" for each in reported.rejected)
            found[device] = Finding({"refused": refused})
    return found


def _gaps(store: Store, now: int) -> Findings:
    return {
        device: Finding({"missing": int(missing)}, since)
        for device, missing, since in store.tuples(
            "SELECT g.device, SUM(g.missing), MIN(g.found_at) FROM open_gaps g"
            " JOIN devices d ON d.device = g.device AND d.revoked_at IS NULL"
            " WHERE g.found_at > ? AND g.stream IN ('summary', 'event') GROUP BY g.device",
            (now - WEEK,),
        )
    }


def _refused(store: Store, now: int) -> Findings:
    reasons: dict[str, Counter[str]] = {}
    for device, reason, number in store.tuples(
        "SELECT q.device, q.reason, COUNT(*) FROM quarantine q"
        " JOIN devices d ON d.device = q.device AND d.revoked_at IS NULL"
        " WHERE q.received > ? GROUP BY q.device, q.reason",
        (now - DAY,),
    ):
        reasons.setdefault(device, Counter())[reason] += number
    return {
        device: Finding({"messages": many.total(), "reasons": _some(sorted(many))})
        for device, many in reasons.items()
        if many.total() > REFUSED_MANY
    }


def _takeovers(store: Store, now: int) -> Findings:
    """A start's number is drawn at random: one that comes back after another is a second device.
    Health messages show it, because they are sent once and never wait."""
    conflicts = dict(
        store.tuples(
            "SELECT q.device, COUNT(*) FROM quarantine q"
            " JOIN devices d ON d.device = q.device AND d.revoked_at IS NULL"
            " WHERE q.received > ? AND q.reason = 'conflict' GROUP BY q.device",
            (now - DAY,),
        )
    )
    boots: dict[str, list[str]] = {}
    for device, boot in store.tuples(
        "SELECT h.device, h.boot FROM devices d JOIN health h ON h.device = d.device"
        " AND h.received > ? WHERE d.revoked_at IS NULL AND d.meta_at > ? AND h.boot IS NOT NULL"
        " ORDER BY h.device, h.received",
        (now - DAY, now - DAY),
    ):
        series = boots.setdefault(device, [])
        if not series or series[-1] != boot:
            series.append(boot)
    found: Findings = {}
    for device in sorted(boots.keys() | conflicts.keys()):
        series = boots.get(device, [])
        returns = len(series) - len(set(series))
        if returns >= RETURNS or conflicts.get(device):
            found[device] = Finding({"returns": returns, "conflicts": conflicts.get(device, 0)})
    return found


def _some(names: Iterable[str]) -> str:
    """A few of them, for a sentence."""
    named = list(names)
    more = f" and {len(named) - _MOST_NAMED} more" * (len(named) > _MOST_NAMED)
    return ", ".join(named[:_MOST_NAMED]) + more
