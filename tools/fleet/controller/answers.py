"""What a device's word about a job makes of the job's row. Pure.

The device knows best: an answer that comes after the fleet has given a job up is recorded as what
it is, with the time at which it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from agent.base.report.job import TERMINAL, JobExecution

Refusal = Literal["unknown_job", "another_device", "ended", "version"]
"""Why an answer is quarantined: no such job; the job is another device's; it had ended otherwise;
it claims success while another version is in force."""
_SURE = frozenset({"SUCCEEDED", "FAILED", "REJECTED"})
"""Ends that only a device can know."""
_LAST_NUMBER = 255
"""Further reports of a job all have this number."""


def refusal(job: Mapping[str, Any] | None, device: str, said: JobExecution) -> Refusal | None:
    """Why this answer cannot be true; `job`: the row, null where there is none."""
    if job is None:
        return "unknown_job"
    if job["device"] != device:
        return "another_device"
    if _is_old(job, said):
        return None
    if job["status"] in _SURE and said.status != job["status"]:
        return "ended"
    in_force = said.app if job["kind"] == "app" else said.models
    if said.status == "SUCCEEDED" and in_force != job["version"]:
        return "version"
    return None


def _is_old(job: Mapping[str, Any], said: JobExecution) -> bool:
    number = job["number"]
    if number is None or number == said.number == _LAST_NUMBER:
        return False
    return bool(said.number <= number)


def changes(
    job: Mapping[str, Any], said: JobExecution, now: int, *, free: bool = True
) -> dict[str, Any]:
    """Columns of the job's row to change, of an answer that was not refused. `now`: Unix seconds;
    `free`: the device has no other open job."""
    if _is_old(job, said):
        return {"heard_at": now}
    new: dict[str, Any] = {
        "heard_at": now,
        "number": said.number,
        "step": said.step,
        "reason": said.reason,
    }
    status = job["status"]
    if status not in TERMINAL:
        if said.status == "QUEUED":
            return new
        if said.status == "IN_PROGRESS":
            if status == "QUEUED":
                new |= {"status": "IN_PROGRESS"} | _begun(job, now)
            return new
        # Nobody took it back: the broker had lost it, and the device drew its conclusion.
        status = "REMOVED" if said.status == "CANCELED" else said.status
        return new | {
            "status": status,
            "started_at": job["started_at"] or now,
            "ended_at": now,
        }
    if said.status in _SURE and status not in _SURE:
        return new | {"status": said.status, "ended_at": now, "late_at": now}
    if said.status == "IN_PROGRESS" and status in ("CANCELED", "REMOVED") and free:
        # Taken back too late: it has begun after all.
        return new | {"status": "IN_PROGRESS", "ended_at": None, "late_at": now} | _begun(job, now)
    return new


def _begun(job: Mapping[str, Any], now: int) -> dict[str, Any]:
    return {
        "started_at": job["started_at"] or now,
        "deadline": now + (job["timeout"] or 7200),
    }
