"""Grafana dashboards as plain data: panels with SQL that PostgreSQL and SQLite both understand.

After Grafana's dashboard JSON model (its documentation, "JSON model"). A query has the fields of
both data sources: Grafana's own for PostgreSQL, and frser-sqlite-datasource.
SQL uses only variables that Grafana itself fills in: `$__from`, `$__to`, `$__interval_ms`, and
`${name:sqlstring}`, which is quoted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

POSTGRESQL = "grafana-postgresql-datasource"
SQLITE = "frser-sqlite-datasource"
WIDTH = 24
"""Of Grafana's grid."""

FROM, TO = "$__from / 1000", "$__to / 1000"
STEP = "($__interval_ms / 1000)"
"""Whole seconds; the panels' least interval is a minute."""


def within(column: str) -> str:
    """Condition: in the range that is shown."""
    return f"{column} >= {FROM} AND {column} < {TO}"


def bucket(column: str) -> str:
    """Time of the point that a row belongs to, Unix seconds."""
    return f"{column} - {column} % {STEP} AS time"


def chosen(variable: str, column: str) -> str:
    """Condition: what a variable of `pick` chooses."""
    return f"(${{{variable}:sqlstring}} = '*' OR {column} = ${{{variable}:sqlstring}})"


@dataclass(slots=True)
class Board:
    """One dashboard; panels are placed from left to right, row by row."""

    uid: str
    title: str
    about: str
    since: str = "now-24h"
    panels: list[dict[str, Any]] = field(default_factory=list)
    variables: list[dict[str, Any]] = field(default_factory=list)
    _x: int = 0
    _y: int = 0
    _row: int = 0

    def pick(self, name: str, label: str, sql: str, everything: bool = True) -> None:
        """A variable: one value of a query's only column; `*` stands for all."""
        if everything:
            sql = f"SELECT '*' AS {name} UNION {sql}"
        query = f"{sql} ORDER BY 1"
        self.variables.append(
            {
                "name": name,
                "label": label,
                "type": "query",
                "datasource": _source(POSTGRESQL),
                "query": query,
                "definition": query,
                "refresh": 2,
                "multi": False,
                "includeAll": False,
                "sort": 0,
                "hide": 0,
                "current": {},
                "options": [],
                "regex": "",
            }
        )

    def text(self, words: str, width: int = WIDTH, height: int = 4) -> None:
        """A panel of Markdown."""
        panel = self._panel("text", "", width, height)
        panel["options"] = {"mode": "markdown", "content": words}
        panel["transparent"] = True

    def stat(
        self,
        title: str,
        sql: str,
        unit: str = "short",
        width: int = 4,
        steps: Sequence[tuple[float | None, str]] = ((None, "text"),),
        words: bool = False,
    ) -> None:
        """One number (or words); `steps`: (from this value on, colour)."""
        panel = self._query("stat", title, sql, "table", unit, width, 4)
        panel["fieldConfig"]["defaults"] |= {
            "thresholds": {
                "mode": "absolute",
                "steps": [{"value": value, "color": colour} for value, colour in steps],
            },
            "noValue": "none",
        }
        panel["options"] = {
            "reduceOptions": {
                "calcs": ["lastNotNull"],
                "fields": "/.*/" if words else "",
                "values": False,
            },
            "colorMode": "value",
            "graphMode": "none",
            "textMode": "auto",
        }

    def lines(
        self,
        title: str,
        sql: str,
        unit: str = "short",
        width: int = 12,
        height: int = 8,
        style: Literal["line", "bars", "points"] = "line",
        stacked: bool = False,
        band: tuple[str, str] | None = None,
        about: str = "",
    ) -> None:
        """Over time: `time` and numbers, or `time`, a word and a number. `band`: two series that
        bound a third."""
        panel = self._query("timeseries", title, sql, "time series", unit, width, height, about)
        panel["fieldConfig"]["defaults"]["custom"] = {
            "drawStyle": style,
            "fillOpacity": 30 if style == "bars" else 0,
            "lineWidth": 1,
            "pointSize": 4,
            "showPoints": "auto",
            "spanNulls": False,
            "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        }
        panel["options"] = {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
        if band is not None:
            low, high = band
            panel["fieldConfig"]["overrides"] = [
                _override(low, {"custom.lineWidth": 0}),
                _override(
                    high,
                    {"custom.lineWidth": 0, "custom.fillBelowTo": low, "custom.fillOpacity": 20},
                ),
            ]

    def bars(
        self, title: str, sql: str, unit: str = "short", width: int = 12, stacked: bool = False,
        about: str = "",
    ) -> None:  # fmt: skip
        """A bar for each row: a word, then numbers."""
        panel = self._query("barchart", title, sql, "table", unit, width, 8, about)
        panel["options"] = {
            "orientation": "auto",
            "stacking": "normal" if stacked else "none",
            "showValue": "auto",
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "none"},
            "xTickLabelRotation": 0,
        }

    def table(
        self,
        title: str,
        sql: str,
        width: int = WIDTH,
        height: int = 8,
        units: dict[str, str] | None = None,
        about: str = "",
    ) -> None:
        """Rows as they are; `units`: of columns that have one. Times are milliseconds."""
        panel = self._query("table", title, sql, "table", "none", width, height, about)
        panel["fieldConfig"]["overrides"] = [
            _override(name, {"unit": unit}) for name, unit in (units or {}).items()
        ]
        panel["options"] = {"showHeader": True, "cellHeight": "sm", "footer": {"show": False}}

    def document(self) -> dict[str, Any]:
        """As Grafana imports it."""
        source = {
            "name": "source",
            "label": "Database",
            "type": "datasource",
            "query": POSTGRESQL,
            "refresh": 1,
            "multi": False,
            "includeAll": False,
            "hide": 0,
            "current": {},
            "options": [],
            "regex": "",
        }
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.about,
            "tags": ["fleeting"],
            "schemaVersion": 39,
            "version": 1,
            "editable": True,
            "timezone": "browser",
            "refresh": "1m",
            "time": {"from": self.since, "to": "now"},
            "templating": {"list": [source, *self.variables]},
            "annotations": {"list": []},
            "links": [
                {
                    "type": "dashboards",
                    "tags": ["fleeting"],
                    "title": "Fleeting",
                    "asDropdown": True,
                    "includeVars": True,
                    "keepTime": True,
                }
            ],
            "panels": self.panels,
        }

    def _query(
        self,
        kind: str,
        title: str,
        sql: str,
        form: Literal["table", "time series"],
        unit: str,
        width: int,
        height: int,
        about: str = "",
    ) -> dict[str, Any]:
        panel = self._panel(kind, title, width, height)
        panel |= {
            "description": about,
            "datasource": _source(POSTGRESQL),
            "interval": "1m",
            "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
            "targets": [
                {
                    "refId": "A",
                    "datasource": _source(POSTGRESQL),
                    # PostgreSQL
                    "editorMode": "code",
                    "format": form.replace(" ", "_"),
                    "rawQuery": True,
                    "rawSql": sql,
                    # SQLite
                    "queryType": form,
                    "queryText": sql,
                    "rawQueryText": sql,
                    "timeColumns": ["time"],
                }
            ],
        }
        return panel

    def _panel(self, kind: str, title: str, width: int, height: int) -> dict[str, Any]:
        if self._x + width > WIDTH:
            self._x, self._y, self._row = 0, self._y + self._row, 0
        panel = {
            "id": len(self.panels) + 1,
            "type": kind,
            "title": title,
            "gridPos": {"x": self._x, "y": self._y, "w": width, "h": height},
        }
        self._x, self._row = self._x + width, max(self._row, height)
        self.panels.append(panel)
        return panel


def _source(kind: str) -> dict[str, str]:
    return {"type": kind, "uid": "${source}"}


def _override(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }
