"""A fault that goes on is said at once, and then seldom."""

from __future__ import annotations

from agent.base.repeats import Seldom


def test_it_is_said_at_once_then_ever_more_seldom() -> None:
    now = 0.0
    seldom = Seldom(lambda: now)
    said = []
    for second in range(0, 3 * 3600, 5):
        now = float(second)
        if seldom():
            said.append(second)
    assert said == [0, 60, 660, 4260, 7860]


def test_the_next_fault_is_said_at_once() -> None:
    seldom = Seldom(lambda: 0.0)
    assert not seldom.over()
    assert seldom()
    assert not seldom()
    assert seldom.over()
    assert not seldom.over()
    assert seldom()
