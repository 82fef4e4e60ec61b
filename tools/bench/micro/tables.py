"""The benchmark's report as text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from tools.common.machine import line
from tools.common.tables import columns, text

_WIDTH = 110


def micro_text(report: dict[str, Any]) -> str:
    """All tables, with what they mean."""
    first, last = report["seeds"]
    head = (
        f"{line(report['machine'])}ours: {report['ours']}\n"
        f"{report['tracks']} tracks of 60 s per line, seeds {first} to {last}; hits: IoU .5, "
        "one-to-one, counts pooled; [95 % over tracks]\nseen: frames that could be analysed\n"
    )
    rows = report["conditions"]
    normal = [r for r in rows if is_normal(r)]
    tables = [
        _f1_table("noise, % IOD", normal, "noise", lambda r: r["fps"] in (30.0, 60.0), report),
        _f1_table("frames/s", normal, "fps", lambda r: r["noise"] == 0.003, report),
    ]
    if not all(is_normal(r) for r in rows if r["events"]):
        plain = [r for r in rows if r["events"] and (r["noise"], r["fps"]) == (0.003, 30.0)]
        tables.append(_f1_table("distractors", plain, "distractors", lambda r: True, report))
    tables += [_quiet_table(rows), _ratio_table(report), _timing_table(rows)]
    foot = "\n".join(textwrap.wrap(report["caveat"], _WIDTH)) + "\n"
    if any(r["fps"] < 25 for r in rows):
        foot = "Below 25 frames/s the agent refuses; here it was made to try.\n" + foot
    return head + text(*(table for table in tables if table.row_count)) + foot


def is_normal(row: Mapping[str, Any]) -> bool:
    """Tracks with events, as the default configuration makes them."""
    return bool(row["events"]) and row["distractors"] == 1.0 and not row["shifted"]


def figure(value: dict[str, Any], digits: int = 2) -> str:
    """`.51 [.47 .56]`; a dash where there is nothing to measure."""
    if value["value"] is None:
        return "-"
    low, high = value["low"], value["high"]
    return f"{number(value['value'], digits)} [{number(low, digits)} {number(high, digits)}]"


def number(value: float | None, digits: int = 2) -> str:
    """Without the zero before the point; a dash for None."""
    if value is None:
        return "-"
    shown = f"{value:.{digits}f}"
    return shown.removeprefix("0") if value < 1 else shown


def _f1_table(title: str, rows: Sequence[Any], key: str, wanted: Any, report: Any) -> Table:
    other = "noise, % IOD" if key == "fps" else "frames/s"
    names = (other, "method", "F1", "P", "R", "false/min", "seen")
    table = columns(title, *names, words=("method",))
    chosen = [row for row in rows if wanted(row)]
    places = {name: k for k, name in enumerate(report["subjects"])}
    chosen.sort(key=lambda r: (places[r["subject"]], r["fps"], r[key], r["shifted"]))
    for row in chosen:
        shown = {"noise": f"{100 * row['noise']:g}", "fps": f"{row['fps']:g}"}
        shown["distractors"] = {0.0: "off", 1.0: "normal", 2.0: "severe"}[row["distractors"]]
        if row["shifted"]:
            shown["distractors"] = "shifted"
        table.add_row(
            shown[key],
            shown["noise" if key == "fps" else "fps"],
            row["subject"],
            figure(row["f1"]),
            number(row["precision"]["value"]),
            number(row["recall"]["value"]),
            number(row["false_per_minute"]["value"]),
            _share(row["analysed"]),
        )
    return table


def _quiet_table(rows: Sequence[Any]) -> Table:
    names = ("method", "noise", "frames/s", "false/min", "they fall on")
    table = columns(*names, title="tracks without micro-expressions", words=names[-1:])
    for row in rows:
        if not row["events"]:
            total = max(sum(row["falls"].values()), 1)
            falls = ", ".join(f"{k} {n / total:.0%}" for k, n in row["falls"].items())
            table.add_row(
                row["subject"],
                f"{100 * row['noise']:g}",
                f"{row['fps']:g}",
                figure(row["false_per_minute"]),
                falls,
            )
    return table


def _ratio_table(report: dict[str, Any]) -> Table:
    by_subject = report["recall_by_ratio"]
    title = "recall by amplitude over noise, 30 and 60 frames/s"
    table = columns("amplitude / noise", *by_subject, "events", title=title)
    for rows in zip(*by_subject.values(), strict=True):
        end = rows[0]["to"]
        limits = f"{rows[0]['from']:g}-{end:g}" if end else f"above {rows[0]['from']:g}"
        table.add_row(limits, *(number(row["recall"]) for row in rows), str(rows[0]["n"]))
    return table


def _timing_table(rows: Sequence[Any]) -> Table:
    names = ("noise", "frames/s", "IoU", "onset", "apex", "offset", "latency", "us/frame")
    title = "hits: overlap, mean errors, ms; latency: mean, largest, s"
    table = columns("method", *names, title=title)
    for row in rows:
        if is_normal(row) and row["noise"] in (0.001, 0.003):
            late = row["latency"]
            table.add_row(
                row["subject"],
                f"{100 * row['noise']:g}",
                f"{row['fps']:g}",
                number(row["iou"]),
                *(_milliseconds(row[name]["mae"]) for name in ("onset", "apex", "offset")),
                f"{number(late['mean'])}, {number(late['max'])}" if late else "-",
                f"{row['us_per_frame']:.0f}",
            )
    return table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{1000 * value:.0f}"
