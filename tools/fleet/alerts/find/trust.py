"""Whether a device can be believed: its receipts, and the walls of its sandbox."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from tools.fleet.alerts.finding import Finding, Findings
from tools.fleet.alerts.kinds import DAY, HOUR
from tools.fleet.export.receipts import Verified, verify
from tools.fleet.store import Store

BACK = 7 * DAY
"""Seconds of receipts that are examined."""
NO_RECEIPT = 60 * HOUR
"""Seconds of summaries without a receipt: one is signed after each midnight."""
AGAIN = DAY
"""Seconds until a device is examined again, as `fleeting-fleet receipts verify` does."""
BUDGET = 2.0
"""Seconds of examining in one look; the others' turn comes in the next."""
_LONGEST = 200
_PAGE = 2000


def look(store: Store, now: int) -> Mapping[str, Findings]:
    """Kinds `sandbox`, `receipt`."""
    return {"sandbox": _sandboxes(store), "receipt": _receipts(store, now)}


def examine(store: Store, now: int, budget: float = BUDGET) -> int:
    """Examine the receipts of devices whose turn it is, longest ago first, for `budget` seconds;
    returns their number. Raises `StoreUnavailable`."""
    end, done = time.monotonic() + budget, 0
    due = store.tuples(
        "SELECT d.device FROM devices d LEFT JOIN alert_receipts r ON r.device = d.device"
        " WHERE d.revoked_at IS NULL AND COALESCE(r.checked_at, 0) <= ?"
        " ORDER BY COALESCE(r.checked_at, 0), d.device LIMIT 1000",
        (now - AGAIN,),
    )
    for (device,) in due:
        found = verify(store, device, since=now - BACK)
        store.execute(
            "INSERT INTO alert_receipts (device, checked_at, verdict, said) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (device) DO UPDATE SET checked_at = excluded.checked_at,"
            " verdict = excluded.verdict, said = excluded.said",
            (device, now, found.verdict, _said(found)),
        )
        done += 1
        if time.monotonic() > end:
            break
    return done


def _said(found: Verified) -> str:
    """What is wrong first; words of the examination, no device's."""
    problems = [*found.problems, *found.conflicts]
    if found.examined is not None:
        problems += found.examined.problems
        for entry in found.examined.entries:
            problems += [*entry.problems, *entry.breaks]
    first = " ".join(problems[0].split()) if problems else ""
    more = f" And {len(problems) - 1} more." if len(problems) > 1 else ""
    return first[:_LONGEST].rstrip(".") + more


def _receipts(store: Store, now: int) -> Findings:
    found: Findings = {}
    for device, last in store.tuples(
        "SELECT d.device, COALESCE(MAX(CASE WHEN p.stream = 'receipt' THEN p.received END),"
        " d.first_seen) FROM devices d JOIN positions p ON p.device = d.device"
        " WHERE d.revoked_at IS NULL GROUP BY d.device, d.first_seen"
        " HAVING MAX(CASE WHEN p.stream = 'summary' THEN p.received END) > ?"
        " AND MAX(CASE WHEN p.stream = 'summary' THEN p.received END)"
        " - COALESCE(MAX(CASE WHEN p.stream = 'receipt' THEN p.received END), d.first_seen) > ?",
        (now - DAY, NO_RECEIPT),
    ):
        found[device] = Finding({"state": "none came for its last days"}, last + NO_RECEIPT)
    for device, verdict, said in store.tuples(
        "SELECT r.device, r.verdict, r.said FROM alert_receipts r"
        " JOIN devices d ON d.device = r.device AND d.revoked_at IS NULL"
        " WHERE r.verdict <> 'valid'"
    ):
        bad = verdict == "invalid"
        found[device] = Finding({"state": said}, severity="critical" if bad else None)
    return found


def _sandboxes(store: Store) -> Findings:
    """Compared with the best that was seen. A release with other schemas may try more walls than
    the one before: what it finds open then is no change, and the updater has looked at that."""
    found: Findings = {}
    last = ""
    while page := store.tuples(
        "SELECT d.device, d.openings, d.meta, d.schemas, w.openings, w.layers, w.schemas"
        " FROM devices d LEFT JOIN alert_walls w ON w.device = d.device WHERE d.revoked_at IS NULL"
        " AND d.meta IS NOT NULL AND d.device > ? ORDER BY d.device LIMIT ?",
        (last, _PAGE),
    ):
        last = page[-1][0]
        new: list[tuple[str, str, str, str]] = []
        for device, openings, meta, schemas, *known in page:
            now_open, layers = set(json.loads(openings or "[]")), _layers(meta)
            best_open, best_layers = now_open, layers
            if known[0] is not None:
                best_open, best_layers = set(json.loads(known[0])), set(json.loads(known[1]))
                if schemas != known[2]:
                    best_open |= now_open
            opened, gone = now_open - best_open, best_layers - layers
            if opened or gone:
                named = sorted(opened) + [f"{each} is gone" for each in sorted(gone)]
                found[device] = Finding({"openings": ", ".join(named)})
            best = (_text(best_open & now_open), _text(best_layers | layers), schemas)
            if best != tuple(known):
                new.append((device, *best))
        store.executemany(
            "INSERT INTO alert_walls (device, openings, layers, schemas) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (device) DO UPDATE SET openings = excluded.openings,"
            " layers = excluded.layers, schemas = excluded.schemas",
            new,
        )
    return found


def _text(names: set[str]) -> str:
    return json.dumps(sorted(names))


def _layers(meta: str) -> set[str]:
    """Of both halves; the row was validated when it was stored."""
    said = json.loads(meta)
    return {
        f"{half}.{layer}"
        for half, cage in (("perceive", said["birth"]["cage"]), ("uplink", said["uplink"]))
        for layer in cage["layers"]
    }
