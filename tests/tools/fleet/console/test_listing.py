"""The list of devices: filters, order and pages say the same as counting by hand."""

from __future__ import annotations

import pytest

from tests.tools.fleet.console.conftest import Console
from tests.tools.fleet.filled import add_device, insert
from tools.common.errors import ToolError
from tools.fleet.console import listing
from tools.fleet.console.listing import Wanted

pytestmark = pytest.mark.slow


@pytest.fixture
def many(empty: Console) -> Console:
    for number in range(130):
        add_device(
            empty.store, f"box-{number:03}", app=f"0.{number % 3}.0",
            grp="shops" if number % 2 else None,
            state=("online", "offline", None)[number % 3], last_seen=4_000_000_000,
        )  # fmt: skip
        if number % 5 == 0:
            insert(empty.store, "tags", device=f"box-{number:03}", tag="floor1")
    add_device(empty.store, "a_b%c!", app="9.9.9")
    insert(empty.store, "groups", name="some", query="tag=floor1 and app=0.1.0")
    return empty


def names(console: Console, wanted: Wanted) -> list[str]:
    return [row["device"] for row in listing.find(console.store, wanted).rows]


def total(console: Console, wanted: Wanted) -> int:
    return listing.find(console.store, wanted).total


def test_pages_are_whole_and_do_not_overlap(many: Console) -> None:
    seen: list[str] = []
    for page in range(1, 4):
        found = listing.find(many.store, Wanted(page=page, sort="app", down=True))
        assert (found.total, found.pages) == (131, 3)
        seen += [row["device"] for row in found.rows]
    assert len(seen) == len(set(seen)) == 131
    assert seen[0] == "a_b%c!"
    assert names(many, Wanted(page=99)) == names(many, Wanted(page=3))


def test_filters(many: Console) -> None:
    assert total(many, Wanted(app="0.1.0")) == 43
    assert total(many, Wanted(tag="floor1")) == 26
    assert total(many, Wanted(group="shops")) == 65
    assert total(many, Wanted(group="none")) == 0
    by_hand = sum(n % 5 == 0 and n % 3 == 1 for n in range(130))
    assert total(many, Wanted(group="some")) == by_hand
    assert total(many, Wanted(state="offline")) == 43
    assert total(many, Wanted(state="unknown", group="shops")) == 21
    assert names(many, Wanted(text="BOX-12")) == [f"box-12{n}" for n in range(10)]
    assert listing.states(many.store)["offline"] == 43


@pytest.mark.parametrize("text", ["_", "%", "!", "a_b%", "b%c!"])
def test_signs_that_mean_something_to_the_database_mean_nothing(many: Console, text: str) -> None:
    assert names(many, Wanted(text=text)) == ["a_b%c!"]


def test_an_address_that_asks_for_what_there_is_not() -> None:
    assert listing.read({"page": "-3", "size": "-1", "down": "1"}) == Wanted(down=True)
    assert listing.read({"page": "３", "size": "x"}) == Wanted()
    assert listing.read({"size": "500"}).size == listing.MOST
    for query in ({"state": "gone"}, {"sort": "device; DROP TABLE devices"}):
        with pytest.raises(ToolError):
            listing.read(query)


def test_the_page_keeps_its_filters(many: Console) -> None:
    text = many.browser("viewer").get("/devices?state=offline&sort=app&size=20&page=1").text
    assert "43 devices, page 1 of 3" in text
    assert 'aria-sort="ascending"' in text
    assert "state=offline&amp;sort=app&amp;page=2" in text
    assert "state=offline&amp;sort=app&amp;down=1" in text
