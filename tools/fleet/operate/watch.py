"""`rollout watch`: bars on a terminal, a line at each change elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from tools.fleet.controller import rollouts
from tools.fleet.controller.decide import ENDED
from tools.fleet.operate.look import summary
from tools.fleet.operate.output import as_json, console, many
from tools.fleet.store import Store, StoreUnavailable

_EVERY = 1.0
"""Seconds."""
_FAILED = ("FAILED", "REJECTED", "TIMED_OUT")


def state(store: Store, name: str, now: int) -> dict[str, Any]:
    """A roll-out, how far each wave is, and how many devices it is for. Raises
    `StoreUnavailable`."""
    row = store.execute("SELECT * FROM rollouts WHERE rollout = ?", (name,))[0]
    view = rollouts.view(row)
    chosen = rollouts.members(store, view)
    pool = [
        each
        for each in chosen
        if (each.job and each.job.status != "REMOVED")
        or (each.selected and each.installed != view.plan.version)
    ]
    waves, before = [], 0
    for number, wave in enumerate(view.plan.waves):
        jobs = [each.job for each in pool if each.job and each.job.wave == number]
        limit = wave.limit(len(pool))
        waves.append(
            {
                "wave": str(wave),
                "devices": max(limit - before, len(jobs)),
                "succeeded": sum(job.status == "SUCCEEDED" for job in jobs),
                "failed": sum(job.status in _FAILED for job in jobs),
                "in_progress": sum(job.status == "IN_PROGRESS" for job in jobs),
                "queued": sum(job.status == "QUEUED" for job in jobs),
            }
        )
        before = limit
    already = len(chosen) - len(pool)
    return summary(store, row, now) | {"already": already, "devices": len(chosen), "by_wave": waves}


def watch(store: Store, name: str, *, as_lines: bool) -> int:
    """Until the roll-out has ended; 0 where it succeeded. Waits for a database that is away."""
    if not as_lines and sys.stdout.isatty():
        return _live(store, name)
    last = None
    while True:
        try:
            now = state(store, name, int(time.time()))
        except StoreUnavailable as error:
            print(f"fleet: {error}", file=sys.stderr)
            time.sleep(_EVERY)
            continue
        seen = {key: value for key, value in now.items() if key != "waiting"}
        if seen != last:
            last = seen
            if as_lines:
                as_json(now)
            else:
                print(line(now))
            sys.stdout.flush()
        if now["status"] in ENDED:
            return 0 if now["status"] == "SUCCEEDED" else 1
        time.sleep(_EVERY)


def line(now: dict[str, Any]) -> str:
    """One line for a log."""
    waves = "  ".join(
        f"{each['wave']}: {each['succeeded']}/{each['devices']}"
        + (f" ({each['failed']} failed)" if each["failed"] else "")
        for each in now["by_wave"]
    )
    said = f"; {now['waiting']}" if now["waiting"] else ""
    return f"{now['kind']} {now['version']} {now['status']}: {waves}{said}"


def _live(store: Store, name: str) -> int:
    with Live(console=console(), refresh_per_second=4) as live:
        while True:
            try:
                now = state(store, name, int(time.time()))
            except StoreUnavailable as error:
                live.update(Text(str(error), style="red"))
                time.sleep(_EVERY)
                continue
            live.update(picture(now))
            if now["status"] in ENDED:
                return 0 if now["status"] == "SUCCEEDED" else 1
            time.sleep(_EVERY)


def picture(now: dict[str, Any]) -> Group:
    """The bars."""
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=40, finished_style="green"),
        MofNCompleteColumn(),
        TextColumn("{task.fields[more]}"),
    )
    for number, each in enumerate(now["by_wave"]):
        mark = ">" if number == now["wave"] and now["status"] not in ENDED else " "
        parts = [f"{each[key]} {key.replace('_', ' ')}" for key in
                 ("failed", "in_progress", "queued") if each[key]]  # fmt: skip
        bars.add_task(
            f"{mark} wave {number + 1} ({each['wave']})",
            total=each["devices"],
            completed=each["succeeded"],
            more=", ".join(parts),
        )
    style = {"SUCCEEDED": "green", "HALTED": "red", "CANCELED": "red"}.get(now["status"], "bold")
    head = Text(
        f"{now['rollout']}  {now['kind']} {now['version']}  {now['selection']}: "
        f"{many(now['devices'])}, {now['already']} had it already"
    )
    return Group(head, bars, Text(f"{now['status']}  {now['waiting']}", style=style))
