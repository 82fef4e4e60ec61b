"""What the numbers say: fewer visits than usual, and more windows withheld than there should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tools.fleet.alerts import hours, visits, waiting, withheld
from tools.fleet.alerts.finding import Finding, Findings
from tools.fleet.alerts.hours import Batch
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
    for batch in hours.batches(store, today - hours.KEEP, today, beat):
        fewer |= _visits(batch, end)
        more |= _withheld(batch, today)
    return {"visits": fewer, "withheld": more}


def _visits(batch: Batch, end: int) -> Findings:
    number = len(batch.devices)
    newest = _newest(batch.rules)
    slots = np.array([max(1, each.slots) for each in batch.known] or [1])
    flat = batch.hours.reshape(number, -1)
    series = visits.Series(
        flat["windows"], flat["withheld"], flat["visits"], flat["variance"], slots[newest]
    )

    def wait(rows: np.ndarray, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        held, noise = np.zeros(len(rows)), np.zeros(len(rows))
        for index in np.unique(newest[rows]):
            these = newest[rows] == index
            held[these], noise[these] = waiting.most(batch.known[index], windows[these])
        return held, noise

    ends = np.full(number, end - 24 * batch.first)
    judged = visits.judge(series, np.arange(number), ends, wait)
    found: Findings = {}
    for row in np.flatnonzero(judged.verdict != visits.USUAL):
        days = int(judged.days[row])
        detail = {
            "visits": max(0, int(judged.visits[row])), "usual": round(judged.usual[row]),
            "hours": 24 * days, "low": round(judged.low[row]), "high": round(judged.high[row]),
        }  # fmt: skip
        since = (end - 24 * days) // 24 * DAY
        holds = judged.verdict[row] == visits.IS_FEWER
        found[batch.devices[row]] = Finding(detail, since, hold="holds" if holds else "between")
    return found


def _newest(rules: np.ndarray) -> np.ndarray:
    """Each device's of its newest day; 0 where it has none, of which nothing is judged."""
    last = rules.shape[1] - 1 - np.argmax(rules[:, ::-1] >= 0, axis=1)
    return np.asarray(np.maximum(rules[np.arange(len(rules)), last], 0))


def _withheld(batch: Batch, today: int) -> Findings:
    begin = today - BACK - batch.first
    rules = batch.rules[:, begin : begin + BACK]
    whole = batch.hours[:, begin : begin + BACK]
    least = np.where(rules < 0, len(batch.known), rules).min(axis=1)
    same = (rules.max(axis=1) == least) & (least >= 0)
    found: Findings = {}
    for index, given in enumerate(batch.known):
        rows = np.flatnonzero(same & (least == index))
        if not len(rows):
            continue
        windows, held, came = (
            whole[name][rows].sum(axis=1, dtype=np.int64)
            for name in ("windows", "withheld", "visits")
        )
        judged = withheld.judge(windows, held, came, given)
        for place in np.flatnonzero(judged.verdict > withheld.USUAL):
            detail = {
                "share": round(100 * judged.share[place]),
                "expected": round(100 * judged.expected[place]),
                "windows": int(judged.windows[place]),
            }
            holds = judged.verdict[place] == withheld.MORE_THAN_USUAL
            device = batch.devices[rows[place]]
            found[device] = Finding(detail, hold="holds" if holds else "between")
    return found
