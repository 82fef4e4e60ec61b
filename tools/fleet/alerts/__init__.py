"""What is wrong with a fleet, raised and ended; whoever shows alerts needs no more than this.

    page = current(store, now, Filters(group="floor1", kinds=["offline"]), limit=50, offset=0)
    page.total, page.alerts[0].what, page.alerts[0].todo
    history(store, now, Filters(device="box-7"), since=now - 7 * 86_400)
    acknowledge(store, page.alerts[0].id, by="ada", now=now)

`fleeting-fleet alerts run` raises and ends them (`process`); each kind is in `kinds`.
"""

from tools.fleet.alerts.kinds import BY_NAME, KINDS, SEVERITIES, Kind, Severity
from tools.fleet.alerts.query import (
    Alert,
    Filters,
    Page,
    acknowledge,
    counts,
    current,
    history,
    one,
    silence,
)

__all__ = [
    "BY_NAME",
    "KINDS",
    "SEVERITIES",
    "Alert",
    "Filters",
    "Kind",
    "Page",
    "Severity",
    "acknowledge",
    "counts",
    "current",
    "history",
    "one",
    "silence",
]
