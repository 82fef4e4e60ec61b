"""A site whose truth is known, as messages and as frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from agent.base.report import to_json
from agent.base.vocabulary import AnyCell
from agent.desk.plan.trial import Told
from agent.desk.read.frame import Collector
from agent.desk.read.messages import Said, Tally


def lines(told: Iterable[Told], device: str = "box-1") -> bytes:
    """As `mosquitto_sub -v` prints them."""
    topic = f"fleeting/1/d/{device}/summary ".encode()
    return b"".join(topic + to_json(each.summary) + b"\n" for each in told)


def frame(told: Iterable[Told], device: str = "box-1", *, bounds: bool = False) -> Any:
    collector = Collector(Tally())
    for each in told:
        collector.add(Said(device, "summary", to_json(each.summary)), "here")
    return collector.frame(0.95, bounds=bounds)


def truth(told: Sequence[Told], cell: AnyCell, *numbers: int) -> int:
    """The exact sum of some of a cell's numbers over all published windows."""
    return sum(
        each.exact.cells[cell][number]
        for each in told
        if each.summary.visits is not None
        for number in numbers
    )
