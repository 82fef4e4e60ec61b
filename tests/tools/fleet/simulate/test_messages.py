"""What simulated devices say is what the agent's models take, and follows the agent's rules."""

from __future__ import annotations

import json
import random

import pytest

from agent.base.report import Event, Health, Meta, Reported, Summary, from_json, to_json
from agent.base.report.job import TERMINAL, Job, JobExecution
from tools.common.errors import ToolError
from tools.fleet.simulate import bodies, faults, jobs
from tools.fleet.simulate.bodies import Software, SummaryTemplates
from tools.fleet.simulate.jobs import JobRunner, Outcomes
from tools.fleet.simulate.shadow import Shadow

NOW = 1_800_000_000.0


@pytest.mark.parametrize("clock", ["ntp", "rtc", "holdover", "none"])
def test_summaries_are_canonical_and_say_what_was_asked(clock: str) -> None:
    templates = SummaryTemplates(60, seed=3)
    seen = set()
    for which in range(2 * bodies.TEMPLATES):
        body = templates.make(which, "00ff00ff", which, clock, 1_799_999_997, 3, "89abcdef")
        found = from_json(Summary, body)
        assert found is not None
        assert (found.boot, found.seq, found.slot) == ("00ff00ff", which, 3)
        assert found.model == "89abcdef"
        assert found.window.clock == clock
        at = found.window.start or found.window.offset
        assert at is not None
        assert at % 10 == 0
        seen.add(body.replace(b'"seq":%d' % which, b""))
    assert len(seen) > bodies.TEMPLATES / 2


def test_a_clock_far_off_stays_within_what_a_summary_can_say() -> None:
    templates = SummaryTemplates(60, seed=3)
    for at in (-5, 0, 5 * 10**9):
        for clock in ("rtc", "none"):
            assert from_json(Summary, templates.make(0, "00ff00ff", 0, clock, at, 0, "89abcdef"))


def test_births_health_and_events_are_canonical() -> None:
    software = Software("1.2.3", "1.2.4")
    meta = from_json(Meta, bodies.meta(
        "00ff00ff", software, 60, clock="ntp", epoch=1_800_000_007, settings=4, k=5, key=None
    ))  # fmt: skip
    assert meta is not None
    assert (meta.birth.software, meta.birth.epoch) == ("1.2.3", 1_800_000_000)
    assert meta.birth.model == software.model_hash
    assert from_json(Health, bodies.health("00ff00ff", 55, "none", random.Random(1)))
    for code in bodies.CODES:
        assert from_json(Event, bodies.event("00ff00ff", 7, code, None, 123))


def test_desired_states_follow_the_version_rules() -> None:
    shadow = Shadow(60)
    assert shadow.receive(b'{"version":3,"config":{"privacy":{"k":9}}}', "own")
    assert (shadow.version, shadow.settings.privacy.k) == (3, 9)
    assert not shadow.receive(b'{"version":3,"config":{}}', "own")  # known
    assert not shadow.receive(b'{"version":2,"config":{}}', "own")  # older
    assert not shadow.receive(b"nonsense", "own")
    assert not shadow.receive(b"", "own")
    assert shadow.settings.privacy.k == 9
    assert shadow.receive(b'{"version":1,"config":{"privacy":{"k":4,"window":300}}}', "defaults")
    assert (shadow.settings.privacy.k, shadow.settings.privacy.window) == (9, 300)
    assert shadow.receive(b'{"version":2000000000,"config":{}}', "own")  # too far ahead
    reported = from_json(Reported, shadow.reported)
    assert reported is not None
    assert (reported.version, reported.defaults) == (3, 1)
    assert [(each.path, each.reason) for each in reported.rejected] == [("other", "version_jump")]


def job(
    number: int = 1, version: str = "1.1.0", kind: str = "app", expires: int | None = None
) -> Job:
    return Job(job=f"{number:016x}", kind=kind, version=version, expires=expires)  # type: ignore[arg-type]


def play(runner: JobRunner, first: list[tuple[str, bytes]]) -> list[JobExecution]:
    """Everything that is said of a job, to its end."""
    said = list(first)
    while runner.wait is not None:
        said += runner.advance(NOW)
    found = [from_json(JobExecution, body) for _, body in said]
    assert None not in found
    return [each for each in found if each is not None]


def test_a_good_job_goes_through_every_step_and_changes_the_versions() -> None:
    runner = JobRunner(Software("1.0.0", "1.0.0"), Outcomes(), random.Random(1))
    said = play(runner, runner.receive(to_json(job()), NOW))
    assert [each.step for each in said] == [
        None, "DOWNLOADING", "DOWNLOADED", "VERIFIED", "UPDATING", "UPDATED", "SOAKING", "SOAKING",
    ]  # fmt: skip
    assert [each.number for each in said] == list(range(len(said)))
    assert said[-1].status == "SUCCEEDED"
    assert said[4].app == "1.0.0"
    assert (said[-1].app, said[-1].models) == ("1.1.0", "1.1.0")
    again = play(runner, runner.receive(to_json(job()), NOW))
    assert again == [said[-1]]  # an ended job answers with its end


@pytest.mark.parametrize("reason", jobs.REASONS)
def test_every_bad_release_ends_with_the_old_version(reason: str) -> None:
    outcomes = jobs.parse_outcomes("", [f"app-1.1.0={reason}"], 1.0, 1.0)
    runner = JobRunner(Software("1.0.0", "1.0.0"), outcomes, random.Random(2))
    last = play(runner, runner.receive(to_json(job()), NOW))[-1]
    assert last.status in ("FAILED", "REJECTED")
    assert (last.reason, last.app, last.models) == (reason, "1.0.0", "1.0.0")
    other = play(runner, runner.receive(to_json(job(2, "1.2.0")), NOW))[-1]
    assert (other.status, other.app) == ("SUCCEEDED", "1.2.0")


def test_jobs_expire_are_canceled_in_time_and_finished_when_it_is_late() -> None:
    runner = JobRunner(Software("1.0.0", "1.0.0"), Outcomes(), random.Random(3))
    late = play(runner, runner.receive(to_json(job(9, expires=1_700_000_000)), NOW))[-1]
    assert (late.status, late.reason) == ("REJECTED", "expired")
    runner.receive(to_json(job(1)), NOW)
    runner.advance(NOW)
    (canceled,) = [from_json(JobExecution, body) for _, body in runner.receive(b"", NOW)]
    assert canceled is not None
    assert (canceled.status, canceled.reason) == ("CANCELED", "canceled")
    runner.receive(to_json(job(2, "2.0.0")), NOW)
    while json.loads(runner.execution[1])["step"] != "UPDATING":  # type: ignore[index]
        runner.advance(NOW)
    assert runner.receive(to_json(job(3, "3.0.0", "models")), NOW) == []
    ends = [each for each in play(runner, []) if each.status in TERMINAL]
    assert [(each.job[-1], each.app, each.models) for each in ends] == [
        ("2", "2.0.0", "2.0.0"), ("3", "2.0.0", "3.0.0"),
    ]  # fmt: skip


def test_a_hostile_job_is_not_begun() -> None:
    runner = JobRunner(Software("1.0.0", "1.0.0"), Outcomes(), random.Random(4))
    assert runner.receive(b'{"v":1,"job":"x"}', NOW) == []
    assert runner.execution is None


@pytest.mark.parametrize("given", [
    "flapping", "flapping=2", "flapping=0.1,flapping=0.1", "x=1", "late=0.1:0", "late=0.1:99",
    "duplicates=0.1:3", "clock=nan",
])  # fmt: skip
def test_faults_that_are_none_are_named(given: str) -> None:
    with pytest.raises(ToolError, match="--fault"):
        faults.parse(given)


def test_faults_hit_the_share_that_was_asked_for() -> None:
    found = faults.parse("flapping=0.25:9,late=0.5:2,clock=1")
    drawn = [faults.afflict(found, random.Random(number)) for number in range(1000)]
    assert 180 < sum(each.flaps_every == 9 for each in drawn) < 320
    assert 430 < sum(each.late_days == 2 for each in drawn) < 570
    assert {each.clock for each in drawn} == {"none", "ahead", "behind"}
    assert faults.parse("") == faults.Faults()


@pytest.mark.parametrize("rates", ["rejected=0.7,failed=0.7", "x=0.1", "failed=-1", "failed=a"])
def test_rates_that_are_none_are_named(rates: str) -> None:
    with pytest.raises(ToolError, match="--jobs"):
        jobs.parse_outcomes(rates, [], 1.0, 1.0)
    with pytest.raises(ToolError, match="--release"):
        jobs.parse_outcomes("", ["app-1.0.0=because"], 1.0, 1.0)
