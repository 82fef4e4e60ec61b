"""Findings into rows: raised once they have held for long enough, ended once they have been gone
for long enough. All that is remembered lies in the database, so a restart changes nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from tools.fleet.alerts import joint
from tools.fleet.alerts.finding import Finding, Findings
from tools.fleet.alerts.kinds import MINUTE, SEVERITIES, Kind
from tools.fleet.store import Row, Store

Event = Literal["raised", "worsened", "ended"]
REFRESH = 10 * MINUTE
"""Seconds: `last` of a row is that old at most."""
_UNWATCHED = 30 * MINUTE
"""Seconds without a look after which what was about to be raised begins anew."""


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody may want to be told."""

    event: Event
    alert: int
    device: str
    kind: str
    severity: str
    silenced: bool


class Book:
    """The rows of one kind, within a transaction."""

    def __init__(self, store: Store, kind: Kind, now: int) -> None:
        """`now`: Unix seconds. Raises `StoreUnavailable`."""
        self._store, self._kind, self._now = store, kind, now
        self._open: dict[str, Row] = {
            row["device"]: row
            for row in store.execute(
                "SELECT * FROM alerts WHERE kind = ? AND ended IS NULL", (kind.name,)
            )
        }
        self._changes: list[Change] = []
        self._new: list[tuple[Any, ...]] = []
        self._changed: list[tuple[Any, ...]] = []
        self._deleted: list[tuple[int]] = []

    def settle(self, found: Findings, fleet: int) -> list[Change]:
        """Make the rows say what was found. `fleet`: number of devices. Raises
        `StoreUnavailable`."""
        cause = self._joint(found, fleet) if self._kind.joint else None
        for device in sorted(self._open.keys() | found.keys() | ({""} if cause else set())):
            finding = found.get(device)
            if cause and not device:
                finding = cause.finding
            covered = bool(cause and device and cause.covers(self._since(device, finding)))
            self._one(device, finding, covered)
        self._write()
        return self._changes

    def _joint(self, found: Findings, fleet: int) -> joint.Joint | None:
        sinces = {
            device: self._since(device, finding)
            for device, finding in found.items()
            if device and finding.hold != "between"
        }
        whole = self._open.get("")
        return joint.look(sinces, fleet, whole["detail"] if whole else None)

    def _since(self, device: str, finding: Finding | None) -> int:
        """When it began. Until it is raised the device's own word counts: it may have come back
        and gone again between two looks."""
        row = self._open.get(device)
        told = None if finding is None else finding.since
        known = row is not None and (row["raised_at"] is not None or told is None)
        if row is not None and known and not self._is_stale(row):
            return int(row["since"])
        return self._now if told is None else min(told, self._now)

    def _is_stale(self, row: Row) -> bool:
        unwatched = max(_UNWATCHED, 3 * self._kind.every)
        return row["raised_at"] is None and self._now - row["last"] > unwatched

    def _one(self, device: str, finding: Finding | None, covered: bool) -> None:
        row = self._open.get(device)
        holds = finding is not None and finding.hold == "holds"
        if row is None:
            if finding is not None and holds:
                self._begin(device, finding, covered)
            return
        if row["raised_at"] is None:
            if finding is not None and holds:
                self._wait(row, finding, covered)
            elif finding is None or finding.hold == "between":
                self._deleted.append((row["id"],))
            return
        if finding is None:
            self._fade(row)
        else:
            self._keep(row, finding if holds else None)

    def _begin(self, device: str, finding: Finding, covered: bool) -> None:
        since, severity = self._since(device, finding), finding.severity or self._kind.severity
        values = (
            device, self._kind.name, severity, SEVERITIES.index(severity), since, self._now,
            _text(finding),
        )  # fmt: skip
        if covered or not self._is_due(since):
            self._new.append(values)
            return
        ((number,),) = self._store.tuples(
            "INSERT INTO alerts (device, kind, severity, severity_rank, since, last, detail,"
            " raised_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (*values, self._now),
        )
        self._changes.append(Change("raised", number, device, self._kind.name, severity, False))

    def _wait(self, row: Row, finding: Finding, covered: bool) -> None:
        """One that is not raised yet."""
        since = self._since(row["device"], finding)
        due = not covered and self._is_due(since)
        self._update(row, finding, since=since, raised_at=self._now if due else None)
        if due:
            self._tell("raised", row, finding.severity or self._kind.severity)

    def _keep(self, row: Row, finding: Finding | None) -> None:
        """One that was raised and still holds. `finding`: None where it nearly holds."""
        if finding is None:
            self._update(row, None)
            return
        severity = finding.severity or self._kind.severity
        if SEVERITIES.index(severity) < row["severity_rank"]:
            self._tell("worsened", row, severity)
        self._update(row, finding)

    def _fade(self, row: Row) -> None:
        """One that was raised and does not hold."""
        gone_at = self._now if row["gone_at"] is None else row["gone_at"]
        ended = self._now if self._now - gone_at >= self._kind.end_after else None
        if ended is not None:
            self._tell("ended", row, row["severity"])
        if ended is not None or row["gone_at"] is None:
            self._changed.append((
                row["severity"], row["severity_rank"], row["since"], row["last"],
                row["raised_at"], gone_at, ended, row["detail"], row["id"],
            ))  # fmt: skip

    def _update(self, row: Row, finding: Finding | None, **more: Any) -> None:
        """Only where something changes: most rows of most looks are left alone."""
        severity = (finding.severity or self._kind.severity) if finding else row["severity"]
        new = {
            "severity": severity,
            "severity_rank": SEVERITIES.index(severity),
            "detail": _text(finding) if finding else row["detail"],
            "gone_at": None,
            **more,
        }
        if self._now - row["last"] >= REFRESH or any(row[key] != new[key] for key in new):
            whole = {**row, **new, "last": self._now}
            self._changed.append(tuple(whole[each] for each in _UPDATED))

    def _is_due(self, since: int) -> bool:
        return self._now - since >= self._kind.raise_after

    def _tell(self, event: Event, row: Row, severity: str) -> None:
        silenced = (row["silenced_until"] or 0) > self._now
        self._changes.append(
            Change(event, row["id"], row["device"], self._kind.name, severity, silenced)
        )

    def _write(self) -> None:
        self._store.executemany(
            "INSERT INTO alerts (device, kind, severity, severity_rank, since, last, detail)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            self._new,
        )
        self._store.executemany(
            "UPDATE alerts SET severity = ?, severity_rank = ?, since = ?, last = ?, raised_at = ?,"
            " gone_at = ?, ended = ?, detail = ? WHERE id = ?",
            self._changed,
        )
        self._store.executemany("DELETE FROM alerts WHERE id = ?", self._deleted)


_UPDATED = (
    "severity", "severity_rank", "since", "last", "raised_at", "gone_at", "ended", "detail", "id",
)  # fmt: skip


def _text(finding: Finding) -> str:
    return json.dumps(finding.detail, sort_keys=True, separators=(",", ":"))
