"""Plays days to the ladder and judges what it did."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.base.config import HeatConfig
from agent.perceive.heat import Heat
from agent.perceive.ladder import FPS, Step, bounds
from tools.common.machine import machine
from tools.robustness.heat import cost
from tools.robustness.heat.day import DAY, EVERY, GLITCH, Simulated, warmed

_MARGIN = 1.5
"""Degrees beyond which a step's bounds must not be passed by noise and inertia."""


@dataclass(frozen=True, slots=True)
class Options:
    days: int = 1
    window: int = 900
    """Seconds, of the policy."""
    seed: int = 1
    measured: bool = True
    """Whether the steps' CPU time is measured; else a typical one is taken."""


TYPICAL = {Step.ALL: 1.0, Step.SLOW: 0.65, Step.SLOWER: 0.3, Step.PAUSE: 0.0}


def run(options: Options) -> dict[str, Any]:
    """The report; `passed` in it is the verdict."""
    seconds = cost.shares() if options.measured else None
    whole = seconds[Step.ALL] if seconds else 1.0
    load = {step: each / whole for step, each in seconds.items()} if seconds else TYPICAL
    agent = logging.getLogger("agent")
    level = agent.level
    agent.setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = _play(options, load, Path(folder))
    finally:
        agent.setLevel(level)
    found["machine"] = machine()
    found["cpu"] = None if seconds is None else [round(seconds[step], 3) for step in Step]
    return found


def _play(options: Options, load: dict[Step, float], root: Path) -> dict[str, Any]:
    board = Simulated(root, load, options.seed)
    events: list[tuple[float, str]] = []
    heat = Heat(
        HeatConfig(), board, lambda code: events.append((board.time, code)),
        clock=lambda: board.time,
    )  # fmt: skip
    edges, rows, problems = bounds(HeatConfig().pause), list[list[Any]](), list[str]()
    spent: Counter[str] = Counter()
    highest, hottest, unlimited = 0.0, 0.0, board.degrees
    doing = before = Step.ALL
    for number in range(int(options.days * DAY / EVERY)):
        heat.poll()
        begins = (number * EVERY) % options.window == 0
        if begins:
            heat.begin_window()
        doing = Step.PAUSE if heat.paused else heat.step
        if doing != before:
            rows.append([board.time, round(board.degrees, 1), int(doing), FPS[doing]])
            if not begins and doing != Step.PAUSE:
                problems.append(f"a change in the midst of a window at {board.time:.0f} s")
            before = doing
        if doing == Step.PAUSE and abs(board.time % DAY - GLITCH) < options.window:
            problems.append("one odd reading paused it")
        spent[doing.name] += 1
        board.advance(doing)
        highest = max(highest, board.degrees)
        if board.degrees > edges.begin[2] + _MARGIN and doing != Step.PAUSE:
            problems.append(f"{board.degrees:.1f} degrees at {board.time:.0f} s without a pause")
    for number in range(int(DAY / EVERY)):
        unlimited = warmed(unlimited, number * EVERY, 1.0)
        hottest = max(hottest, unlimited)
    total = sum(spent.values())
    said = Counter(code for _, code in events)
    if said["undervolt"] != options.days:
        problems.append(f"{said['undervolt']} under-voltages in {options.days} days with one each")
    if abs(said["hot"] - said["cooled"]) > 1:
        problems.append("heat without an end")
    return {
        "days": options.days, "window": options.window, "seed": options.seed,
        "readings": total, "highest": round(highest, 1), "unlimited": round(hottest, 1),
        "changes": len(rows), "rows": rows[:60], "events": dict(said),
        "share": {step.name: round(100 * spent[step.name] / total, 1) for step in Step},
        "problems": problems[:20], "passed": not problems,
    }  # fmt: skip
