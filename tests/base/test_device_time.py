"""Elapsed time: no clock step, reboot or missing clock makes it longer than it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.device_time import MAX_GAP, DeviceTime, Instant, machine_start


@dataclass
class World:
    """True time, and what a machine knows of it."""

    true: float = 0.0
    started: float = 0.0
    """True time of the machine's last start."""
    starts: int = 0
    synchronised: bool = True
    wrong: float = 0.0
    """Error of the wall clock while it is not synchronised."""
    stored: Instant | None = None
    clock: DeviceTime = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The process."""
        self.clock = DeviceTime(
            self.stored,
            machine=f"start-{self.starts}",
            boottime=lambda: self.true - self.started,
            utc=lambda: 1.7e9 + self.true if self.synchronised else None,
        )

    def store(self) -> None:
        self.stored = self.clock.instant()

    def reboot(self, off: float, synchronised: bool) -> None:
        self.true += off
        self.started, self.starts, self.synchronised = self.true, self.starts + 1, synchronised
        self.restart()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.floats(0, 200_000), st.booleans()),
        st.tuples(st.just("store"), st.just(0.0), st.booleans()),
        st.tuples(st.just("restart"), st.floats(0, 200_000), st.booleans()),
        st.tuples(st.just("reboot"), st.floats(0, 4_000_000), st.booleans()),
    ),
    max_size=30,
)


@given(STEPS)
def test_it_never_gains_and_never_goes_back(steps: list[tuple[str, float, bool]]) -> None:
    world = World()
    begun = world.clock()
    stored_at, stored_elapsed, last = 0.0, begun, begun
    for what, seconds, synchronised in steps:
        if what == "reboot":
            world.reboot(seconds, synchronised)
        else:
            world.true += seconds
            world.synchronised = synchronised
            if what == "store":
                world.store()
                stored_at, stored_elapsed = world.true, world.clock()
            elif what == "restart":
                world.restart()
        if what in ("reboot", "restart"):
            last = 0 if world.stored is None else world.stored.elapsed
        now = world.clock()
        assert now >= last - 1e-6
        assert now - begun <= world.true + 1e-6
        if world.stored is not None and not world.stored.open:
            # else the time before the machine's start may be credited after it was stored
            assert now - stored_elapsed <= world.true - stored_at + 1e-6
        last = now


@given(st.lists(st.floats(1, 200_000), min_size=1, max_size=10))
def test_between_two_starts_of_the_machine_nothing_is_lost(lives: list[float]) -> None:
    """Not even while the process is away."""
    world = World(synchronised=False)
    for life in lives:
        world.true += life
        world.store()
        world.true += life
        world.restart()
    assert world.clock() == pytest.approx(world.true, abs=2 * len(lives))


@pytest.mark.parametrize("late", [0.0, 300.0])
def test_a_synchronised_clock_counts_the_time_in_which_the_machine_was_off(late: float) -> None:
    """Also where it is synchronised only later, and the process starts again until then."""
    world = World()
    world.true = 1000.0
    world.store()
    world.reboot(3 * 86_400.0, synchronised=not late)
    world.true += late
    if late:
        assert not world.clock.complete
        assert world.clock() == pytest.approx(1000 + late, abs=2)
        world.store()
        world.restart()
        world.synchronised = True
    assert world.clock() == pytest.approx(1000 + 3 * 86_400 + late, abs=5)
    assert world.clock.complete
    world.synchronised = False
    assert world.clock() == pytest.approx(1000 + 3 * 86_400 + late, abs=5)


def test_without_a_clock_only_the_time_since_the_start_counts() -> None:
    world = World(synchronised=False)
    world.true = 5000.0
    world.store()
    world.reboot(86_400.0, synchronised=True)
    world.true += 50
    world.restart()
    assert world.clock() == pytest.approx(5050, abs=2)


def test_an_absence_is_credited_up_to_a_month() -> None:
    world = World()
    world.store()
    world.reboot(400 * 86_400.0, synchronised=True)
    assert world.clock() == pytest.approx(MAX_GAP, abs=2)


def test_where_the_start_is_not_known_nothing_is_credited() -> None:
    stored = Instant(100, "", 50, None)
    for machine in ("", "b"):
        assert DeviceTime(stored, machine=machine, boottime=lambda: 900.0)() == 100


def test_the_system_has_these_clocks() -> None:
    clock = DeviceTime(None)
    first = clock()
    assert 0 <= first <= clock()
    at = clock.instant()
    assert at.machine == machine_start()
    assert at.boottime >= ceil(first)
