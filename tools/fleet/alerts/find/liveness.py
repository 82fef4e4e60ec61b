"""Who is away: the broker said so, or nothing came for longer than it should take."""

from __future__ import annotations

from collections.abc import Mapping

from tools.fleet.alerts.finding import Finding, Findings
from tools.fleet.alerts.kinds import HOUR
from tools.fleet.store import Store

GRACE, WINDOWS = 900, 3
"""Silent for so many seconds and so many windows: as the view `device_status` has it."""
_SOON = 300
"""Seconds beyond a window or a health message after which silence is worth a thought."""
_RESTING = 26 * HOUR
"""Seconds that a device which is paused, or has quiet hours, may be silent: it says its health, at
least once a day."""
_TALKS = 120
"""Seconds: a device that says its health so long after it was said to be gone is not gone."""
_SQL = """
SELECT d.device, d.state, d.state_at, d.window_length, d.last_seen,
    (SELECT MAX(p.received) FROM positions p WHERE p.device = d.device) AS said,
    (SELECT MAX(h.received) FROM health h WHERE h.device = d.device) AS well,
    (SELECT h.perception FROM health h WHERE h.device = d.device
        ORDER BY h.received DESC LIMIT 1) AS perception
FROM devices d WHERE d.revoked_at IS NULL
"""


def look(store: Store, now: int) -> Mapping[str, Findings]:
    """Kind `offline`."""
    found: Findings = {}
    for device, state, state_at, window, seen, said, well, perception in store.tuples(_SQL):
        if state is None and said is None and well is None:
            continue  # enrolled, and never there
        heard = max(each for each in (seen, said, well) if each is not None)
        if state == "offline" and not (well is not None and well > (state_at or 0) + _TALKS):
            found[device] = Finding({"state": "offline", "heard_at": heard}, since=state_at)
            continue
        silent, window = now - heard, window or GRACE
        resting = perception in ("paused", "quiet")
        if silent > (_RESTING if resting else GRACE + WINDOWS * window):
            found[device] = Finding({"state": "silent", "heard_at": heard}, since=heard)
        elif not resting and silent > max(window, GRACE) + _SOON:
            found[device] = Finding(since=heard, hold="suspect")
    return {"offline": found}


def count(store: Store) -> int:
    """Devices of the fleet."""
    return int(store.tuples("SELECT COUNT(*) FROM devices WHERE revoked_at IS NULL")[0][0])
