"""Settings: what may be typed, how versions go, and that a device takes what is composed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.report import Rejected, Reported
from agent.uplink import strict_json
from agent.uplink.settings import MAX_JUMP, PATHS, parse_desired
from tests.tools.fleet.controller.devices import FORCE
from tools.common.errors import ToolError
from tools.fleet.controller import wishes
from tools.fleet.controller.wishes import Desired, next_version, parse_assignment, renewed

VERSION = st.integers(1, 2**31 - 1)


def reported(version: int) -> Reported:
    return Reported(version=version, defaults=0, config=FORCE, rejected=())


def takes(last: int, offered: int) -> bool:
    """Whether a device whose last accepted version is `last` takes another one."""
    return 0 < (offered - last) % 2**31 <= MAX_JUMP


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("privacy.k=5", ("privacy.k", 5)),
        (" privacy.k = 5 ", ("privacy.k", 5)),
        ("micro.enabled=false", ("micro.enabled", False)),
        ("privacy.k=", ("privacy.k", None)),
        ("privacy.window=null", ("privacy.window", None)),
    ],
)
def test_assignments(text: str, wanted: tuple[str, Any]) -> None:
    assert parse_assignment(text) == wanted


@pytest.mark.parametrize(
    "text",
    ["privacy.k", "privacy.k=five", "privacy.k=0", "privacy.k=101", "privacy.k=1.5", "privacy.k=[]",
     "privacy.k=true", "micro.enabled=1", "privacy.epsilon=1", "device.id=x", "x=1", "=1", "",
     "privacy.window=7", "privacy.k=1e999", "privacy.k=99999999999999999999"],
)  # fmt: skip
def test_what_may_not_be_set(text: str) -> None:
    with pytest.raises(ToolError):
        parse_assignment(text)


def test_after_the_highest_version_comes_one() -> None:
    assert next_version(0) == 1
    assert next_version(2**31 - 2) == 2**31 - 1
    assert next_version(2**31 - 1) == 1


@given(current=VERSION, said=st.integers(0, 2**31 - 1), change=st.booleans())
def test_whatever_a_device_says_it_takes_the_next_document(
    current: int, said: int, change: bool
) -> None:
    now = Desired(current, {"privacy.k": 5}, 0)
    wanted = {"privacy.k": 6 if change else 5}
    new = renewed(now, wanted, reported(said), 10)
    if new is None:
        assert not change
        assert said == current or takes(said, current)
        return
    assert new.config == wanted
    assert takes(said, new.version)
    assert renewed(new, wanted, reported(said), 20) is None, "once"
    assert renewed(new, wanted, reported(new.version), 20) is None


@given(versions=st.lists(st.sampled_from([0, 1, 2**20, 2**30, 2**31 - 1]), min_size=1, max_size=8))
def test_versions_settle_whatever_is_reported_in_between(versions: list[int]) -> None:
    desired: Desired | None = None
    for said in versions:
        desired = renewed(desired, {"privacy.k": 7}, reported(said), 0) or desired
        assert desired is not None
        assert said == desired.version or takes(said, desired.version)


def test_nothing_is_wished_and_nothing_was() -> None:
    assert renewed(None, {}, reported(3), 0) is None


def test_a_wish_taken_back_is_a_new_document_that_sets_nothing() -> None:
    new = renewed(Desired(4, {"privacy.k": 5}, 0), {}, reported(4), 9)
    assert new == Desired(5, {}, 9)


def test_the_first_document_follows_what_a_device_has_from_elsewhere() -> None:
    new = renewed(None, {"privacy.k": 5}, reported(41), 9)
    assert new == Desired(42, {"privacy.k": 5}, 9)


def test_one_that_has_another_document_of_the_same_number_gets_a_new_one_once_an_hour() -> None:
    now = Desired(3, {"privacy.k": 9}, 1000)
    assert renewed(now, {"privacy.k": 9}, reported(3), 1000 + 3599) is None
    assert renewed(now, {"privacy.k": 9}, reported(3), 1000 + 3600) == Desired(
        4, {"privacy.k": 9}, 4600
    )
    no = Rejected(path="privacy.k", reason="weaker_than_site")
    refused = reported(3).model_copy(update={"rejected": (no,)})
    assert renewed(now, {"privacy.k": 9}, refused, 10_000) is None, "it has said why"


values = st.fixed_dictionaries(
    {},
    optional={
        "privacy.k": st.integers(1, 100),
        "micro.enabled": st.booleans(),
        "detection.tiles": st.integers(0, 4),
    },
)


@given(groups=st.lists(values, max_size=3), own=values)
def test_a_devices_own_wish_wins_and_the_document_is_one_that_devices_parse(
    groups: list[dict[str, Any]], own: dict[str, Any]
) -> None:
    composed = wishes.compose(groups, own)
    for path, value in own.items():
        assert composed[path] == value
    assert set(composed) == {path for each in (*groups, own) for path in each}
    assert list(composed) == [path for path in PATHS if path in composed]
    parsed = parse_desired(strict_json.parse(Desired(7, composed, 0).body))
    assert parsed.version == 7
    assert parsed.patch.values() == composed
    assert not parsed.refused
    assert wishes.from_text(wishes.to_text(composed)) == composed
