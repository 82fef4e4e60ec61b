"""What a person says about an alert, and what is refused."""

from __future__ import annotations

import pytest

from tests.tools.fleet.alerts.conftest import DAY, HOUR, World
from tools.common.errors import ToolError
from tools.fleet.alerts import Filters, acknowledge, counts, current, history, silence


def test_acknowledged_ones_go_to_the_end_and_end_as_others(lite: World) -> None:
    lite.come("a", "b")
    lite.event("a", "summaries_lost")
    lite.event("b", "quota_exceeded")
    lite.look()
    assert counts(lite.store) == {"critical": 1, "warning": 1, "info": 0}
    first = lite.open()[0]
    said = acknowledge(lite.store, first.id, " ada\x1b[31m\n", lite.now)
    assert (said.acknowledged_by, said.acknowledged_at) == ("ada[31m", lite.now)
    assert [each.device for each in lite.open()] == ["b", "a"]
    assert [each.device for each in lite.open(acknowledged=False)] == ["b"]
    lite.quiet(4 * DAY, "a", "b", step=8 * HOUR)
    assert lite.open() == []
    assert {each.acknowledged_by for each in lite.past()} == {"ada[31m", None}
    with pytest.raises(ToolError, match="ended already"):
        acknowledge(lite.store, first.id, "bob", lite.now)


def test_history_is_of_a_time(lite: World) -> None:
    lite.come("a")
    lite.event("a", "quota_exceeded")
    lite.look()
    began = lite.now
    lite.quiet(4 * DAY, "a", step=8 * HOUR)
    lite.event("a", "quota_exceeded")
    lite.look()
    whole = history(lite.store, lite.now)
    assert [each.ended is None for each in whole.alerts] == [True, False]
    assert history(lite.store, lite.now, since=lite.now - DAY).total == 1
    assert history(lite.store, lite.now, until=began + 1).total == 1


def test_silences_have_bounds(lite: World) -> None:
    lite.come("a")
    lite.event("a", "quota_exceeded")
    lite.look()
    (alert,) = lite.open()
    assert silence(lite.store, alert.id, HOUR, lite.now).silenced_until == lite.now + HOUR
    assert len(lite.open(silenced=True)) == 1
    assert lite.open(silenced=False) == []
    assert silence(lite.store, alert.id, 0, lite.now).silenced_until is None
    for wrong in (-1, 91 * DAY):
        with pytest.raises(ToolError, match="90 days"):
            silence(lite.store, alert.id, wrong, lite.now)


def test_what_names_nothing_is_refused(lite: World) -> None:
    for filters in (Filters(kinds=["nonsense"]), Filters(severities=["bad' OR 1"])):
        with pytest.raises(ToolError, match="There are"):
            current(lite.store, lite.now, filters)
    for limit, offset in ((0, 0), (501, 0), (1, -1)):
        with pytest.raises(ToolError, match="A page"):
            current(lite.store, lite.now, limit=limit, offset=offset)
    with pytest.raises(ToolError, match="no alert 77"):
        silence(lite.store, 77, 1, lite.now)
    with pytest.raises(ToolError, match="--by NAME"):
        acknowledge(lite.store, 1, "\x00\n", lite.now)
