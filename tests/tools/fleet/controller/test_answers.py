"""What a device's word makes of a job."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from agent.base.report import JobExecution
from agent.base.report.job import TERMINAL
from tools.fleet.controller.answers import changes, refusal

JOB = "0123456789abcdef"


def row(**new: Any) -> dict[str, Any]:
    return {
        "job": JOB, "device": "box", "kind": "app", "version": "0.2.0", "status": "QUEUED",
        "step": None, "reason": None, "number": None, "created_at": 100, "started_at": None,
        "ended_at": None, "deadline": 500, "timeout": 60, "late_at": None,
    } | new  # fmt: skip


def says(status: str, number: int = 0, **new: Any) -> JobExecution:
    fields = {"job": JOB, "status": status, "step": None, "reason": None, "number": number,
              "app": "0.2.0", "models": "0.1.0"} | new  # fmt: skip
    return JobExecution.model_validate(fields)


def test_a_job_from_begin_to_end() -> None:
    job = row()
    job |= changes(job, says("IN_PROGRESS", 0, step="DOWNLOADING"), 200)
    assert (job["status"], job["started_at"], job["deadline"]) == ("IN_PROGRESS", 200, 260)
    job |= changes(job, says("IN_PROGRESS", 1, step="SOAKING"), 230)
    assert (job["started_at"], job["deadline"], job["step"]) == (200, 260, "SOAKING")
    job |= changes(job, says("SUCCEEDED", 2, step="SOAKING"), 240)
    assert (job["status"], job["ended_at"], job["late_at"]) == ("SUCCEEDED", 240, None)


def test_what_is_said_twice_or_late_in_the_wrong_order_changes_nothing() -> None:
    job = row()
    job |= changes(job, says("IN_PROGRESS", 5), 200)
    for number in (5, 4):
        assert changes(job, says("FAILED", number), 300) == {"heard_at": 300}
    job |= changes(job, says("SUCCEEDED", 6), 300)
    assert refusal(job, "box", says("IN_PROGRESS", 3)) is None


def test_numbers_end_and_reports_go_on() -> None:
    job = row()
    job |= changes(job, says("IN_PROGRESS", 255), 200)
    job |= changes(job, says("SUCCEEDED", 255), 300)
    assert job["status"] == "SUCCEEDED"
    job |= changes(job, says("SUCCEEDED", 255), 400)
    assert job["ended_at"] == 300


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "REJECTED"])
@pytest.mark.parametrize("given_up", ["TIMED_OUT", "CANCELED", "REMOVED"])
def test_the_truth_counts_however_late(status: str, given_up: str) -> None:
    job = row(status=given_up, ended_at=400, number=1, started_at=200)
    new = changes(job, says(status, 2), 900)
    assert (new["status"], new["ended_at"], new["late_at"]) == (status, 900, 900)


def test_a_device_that_stops_when_told_does_not_hide_the_time_out() -> None:
    job = row(status="TIMED_OUT", ended_at=400, number=1)
    assert "status" not in changes(job, says("CANCELED", 2, reason="canceled"), 900)
    assert "status" not in changes(job, says("IN_PROGRESS", 2), 900)


def test_a_device_that_gives_a_job_back_may_get_another_one() -> None:
    new = changes(row(), says("CANCELED", 0, reason="canceled"), 900)
    assert (new["status"], new["reason"]) == ("REMOVED", "canceled")


def test_a_job_taken_back_too_late_is_open_again_unless_there_is_another() -> None:
    job = row(status="REMOVED", ended_at=400)
    new = changes(job, says("IN_PROGRESS", 0), 410)
    assert (new["status"], new["ended_at"], new["deadline"]) == ("IN_PROGRESS", None, 470)
    assert "status" not in changes(job, says("IN_PROGRESS", 0), 410, free=False)


def test_refusals() -> None:
    assert refusal(None, "box", says("SUCCEEDED")) == "unknown_job"
    assert refusal(row(), "other", says("SUCCEEDED")) == "another_device"
    assert refusal(row(), "box", says("SUCCEEDED", app="0.1.0")) == "version"
    assert refusal(row(kind="models"), "box", says("SUCCEEDED")) == "version"
    assert refusal(row(kind="models"), "box", says("SUCCEEDED", models="0.2.0")) is None
    ended = row(status="FAILED", number=3)
    assert refusal(ended, "box", says("SUCCEEDED", 4)) == "ended"
    assert refusal(ended, "box", says("FAILED", 4)) is None


statuses = st.sampled_from(["QUEUED", "IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED", "CANCELED"])


@given(
    st.lists(st.tuples(statuses, st.integers(0, 255)), max_size=12),
    st.sampled_from(["QUEUED", "TIMED_OUT", "CANCELED", "REMOVED"]),
)
def test_whatever_is_said_an_end_that_only_the_device_knows_stays(
    said: list[tuple[str, int]], begin: str
) -> None:
    job = row(status=begin, ended_at=None if begin == "QUEUED" else 400)
    ended = None
    for at, (status, number) in enumerate(said):
        answer = says(status, number)
        if refusal(job, "box", answer) is None:
            before = job["number"]
            job |= changes(job, answer, 1000 + at)
            assert before is None or job["number"] >= before
        if ended:
            assert job["status"] == ended
        elif job["status"] in ("SUCCEEDED", "FAILED", "REJECTED"):
            ended = job["status"]
        assert (job["ended_at"] is not None) is (job["status"] in TERMINAL)
