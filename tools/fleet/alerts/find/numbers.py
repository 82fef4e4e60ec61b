"""What the numbers say: fewer visits than usual, and more windows withheld than there should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tools.fleet.alerts import hours, visits, withheld
from tools.fleet.alerts.finding import Finding, Findings
from tools.fleet.alerts.kinds import DAY, HOUR
from tools.fleet.store import Store

LATE = 1
"""Hours that the newest windows have to arrive in."""
BACK = 7
"""Days whose windows are counted."""


def look(store: Store, now: int, beat: Callable[[], None]) -> Mapping[str, Findings]:
    """Kinds `visits`, `withheld`. `beat`: called now and then, for this takes long."""
    hours.update(store, now, beat)
    fewer: Findings = {}
    more: Findings = {}
    end, today = now // HOUR - LATE, now // DAY
    for device, days in hours.days_of_all(store, today - hours.KEEP, beat):
        finding = _visits(days, end)
        if finding is not None:
            fewer[device] = finding
        judged = withheld.judge(
            hours.day_of(each) for day, each in days.items() if today - BACK <= day < today
        )
        if judged is not None and judged.verdict != "usual":
            detail = {"share": round(100 * judged.share), "expected": round(100 * judged.expected),
                      "windows": judged.windows}  # fmt: skip
            holds = judged.verdict == "more"
            more[device] = Finding(detail, hold="holds" if holds else "between")
    return {"visits": fewer, "withheld": more}


def _visits(days: Mapping[int, hours.Raw], end: int) -> Finding | None:
    judged = visits.judge(visits.Series(days), end)
    if judged is None or judged.verdict == "usual":
        return None
    detail = {
        "visits": max(0, judged.visits), "usual": round(judged.usual), "hours": 24 * judged.days,
        "low": round(judged.low), "high": round(judged.high),
    }  # fmt: skip
    since = (end - 24 * judged.days) // 24 * DAY
    return Finding(detail, since, hold="holds" if judged.verdict == "fewer" else "between")
