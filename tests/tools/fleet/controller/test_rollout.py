"""Roll-outs over a real broker and both databases; some devices do not behave."""

from __future__ import annotations

import random
import time
from functools import partial

import pytest

from agent.base.report import JobExecution, to_json
from tests.tools.fleet.controller.conftest import Fleet
from tests.tools.fleet.controller.devices import NEW, OLD
from tests.uplink.conftest import eventually

pytestmark = pytest.mark.slow

NAMES = [f"box-{n}" for n in range(50)]
FAST = ("--gate", "soak=0", "--gate", "within=0")


def test_a_release_goes_out_in_waves_and_nothing_stays_retained(fleet: Fleet) -> None:
    devices = fleet.devices(NAMES)
    devices.come()
    fleet.controller()
    fleet.knows(50)
    made = fleet.start("app", NEW, "--waves", "1,20%,100%", *FAST)
    eventually(lambda: fleet.status(made) == "SUCCEEDED", "the end")
    jobs = fleet.jobs()
    assert sorted(jobs) == sorted(NAMES)
    assert {row["status"] for row in jobs.values()} == {"SUCCEEDED"}
    waves = [row["wave"] for row in jobs.values()]
    assert [waves.count(n) for n in range(3)] == [1, 9, 40]
    eventually(
        lambda: all(devices.kept[f"fleeting/1/d/{name}/job/next"] == b"" for name in NAMES),
        "jobs are taken away when they are done",
    )
    assert {row["app"] for row in fleet.rows("devices")} == {NEW}
    assert all(len(given) == 1 for given in devices.jobs.values())


def _goes_on(fleet: Fleet, rollout: str, jobs: int) -> bool:
    return len(fleet.rows("jobs")) > jobs or fleet.status(rollout) != "RUNNING"


def test_a_controller_killed_again_and_again_loses_and_doubles_nothing(fleet: Fleet) -> None:
    devices = fleet.devices(NAMES)
    devices.come()
    chance = random.Random(7)
    process = fleet.process()
    fleet.knows(50)
    made = fleet.start("app", NEW, "--waves", "4%,20%,50%,100%", *FAST)
    kills = 0
    while fleet.status(made) == "RUNNING" and kills < 8:
        eventually(
            partial(_goes_on, fleet, made, len(fleet.rows("jobs"))),
            "it goes on",
        )
        time.sleep(chance.uniform(0, 0.1))
        process.kill()
        process.wait()
        kills += fleet.status(made) == "RUNNING"
        process = fleet.process()
    assert kills >= 3, "it was killed in the middle"
    eventually(lambda: fleet.status(made) == "SUCCEEDED", "the end", 120)
    assert all(len(devices.jobs[name]) == 1 for name in NAMES), "two jobs for one device"
    assert {row["status"] for row in fleet.rows("jobs")} == {"SUCCEEDED"}
    assert len(fleet.rows("jobs")) == 50


def test_a_bad_release_halts_by_itself_and_what_was_not_begun_is_taken_back(fleet: Fleet) -> None:
    devices = fleet.devices(NAMES)
    bad = set(random.Random(3).sample(NAMES, 25))
    devices.outcome = lambda name, job: "ROLLED_BACK" if name in bad else "SUCCEEDED"
    devices.come(NAMES[:40])
    fleet.controller()
    fleet.knows(40)
    made = fleet.start("app", NEW, "--waves", "20,100%", "--abort", "ROLLED_BACK:25:8", *FAST)
    eventually(lambda: fleet.status(made) == "HALTED", "it halts")
    row = fleet.rows("rollouts", "rollout = ?", made)[0]
    assert row["reason"].startswith("ROLLED_BACK: ")
    assert len(fleet.jobs("FAILED")) >= 2
    assert len(fleet.rows("jobs")) <= 20, "never beyond the wave"
    devices.come(NAMES[40:])
    fleet.knows(50)
    time.sleep(1.5)
    assert not fleet.jobs("QUEUED", "IN_PROGRESS"), "an abort is final"
    assert not {*NAMES[40:]} & {*fleet.jobs()}
    assert fleet.run("rollout", "resume", made) == 1, "and no operator makes it go on"


def test_jobs_that_hang_are_timed_out_and_a_late_answer_is_recorded(fleet: Fleet) -> None:
    names = NAMES[:6]
    devices = fleet.devices(names)
    devices.outcome = lambda name, job: "hang" if name in names[:2] else "SUCCEEDED"
    devices.come()
    fleet.controller()
    fleet.knows(6)
    made = fleet.start(
        "app", NEW, "--waves", "100%", "--timeout", "10", "--abort", "TIMED_OUT:90",
        "--gate", "succeeded=50", *FAST,
    )  # fmt: skip
    eventually(lambda: len(fleet.jobs("IN_PROGRESS")) == 2, "two hang")
    fleet.store.execute("UPDATE jobs SET deadline = 1 WHERE status = 'IN_PROGRESS'")
    eventually(lambda: fleet.status(made) == "SUCCEEDED", "the end")
    late = fleet.jobs("TIMED_OUT")
    assert sorted(late) == sorted(names[:2])
    # Taken back, one of them stops; the other had got too far, and says so.
    assert late[names[0]]["late_at"] is None
    devices.succeed(names[0], late[names[0]]["job"])
    eventually(lambda: names[0] in fleet.jobs("SUCCEEDED"), "the truth")
    assert fleet.jobs("SUCCEEDED")[names[0]]["late_at"] is not None
    assert sorted(fleet.jobs("TIMED_OUT")) == names[1:2]


def test_pause_resume_and_cancel(fleet: Fleet) -> None:
    names = NAMES[:10]
    devices = fleet.devices(names)
    devices.outcome = lambda name, job: "silent"
    devices.come()
    fleet.controller()
    fleet.knows(10)
    made = fleet.start("app", NEW, "--waves", "4,100%", *FAST)
    eventually(lambda: len(fleet.jobs("QUEUED")) == 4, "four jobs")
    eventually(lambda: sum(map(len, devices.jobs.values())) == 4, "four jobs arrive")
    first = set(fleet.jobs("QUEUED"))
    assert fleet.run("rollout", "pause", made) == 0
    eventually(lambda: len(fleet.jobs("REMOVED")) == 4, "they are taken back")
    eventually(lambda: all(not body for body in devices.kept.values()), "also at the broker")
    assert fleet.run("rollout", "pause", made) == 1, "it is paused already"
    assert fleet.run("rollout", "resume", made) == 0
    eventually(lambda: set(fleet.jobs("QUEUED")) == first, "the same devices again")
    assert fleet.run("rollout", "abort", made) == 0
    eventually(lambda: len(fleet.jobs("CANCELED")) == 4, "for good")
    assert fleet.status(made) == "CANCELED"
    time.sleep(1)
    assert not fleet.jobs("QUEUED")


def test_flapping_devices_get_one_job_and_finish_it(fleet: Fleet) -> None:
    names = NAMES[:12]
    devices = fleet.devices(names)
    devices.come()
    fleet.controller()
    fleet.knows(12)
    made = fleet.start("app", NEW, "--waves", "3,100%", "--gate", "soak=0")
    chance = random.Random(5)
    for _ in range(60):
        some = chance.sample(names, 4)
        devices.go(some)
        time.sleep(0.02)
        devices.come(some)
        if fleet.status(made) == "SUCCEEDED":
            break
    eventually(lambda: fleet.status(made) == "SUCCEEDED", "the end")
    assert all(len(devices.jobs[name]) == 1 for name in names)


def test_offline_devices_get_it_when_they_are_back_and_new_ones_join(fleet: Fleet) -> None:
    devices = fleet.devices(NAMES[:8])
    devices.come(NAMES[:5])
    fleet.controller()
    fleet.knows(5)
    assert fleet.run("tag", "all", "+shop") == 0
    made = fleet.start("app", NEW, "--select", "id=box-*", "--waves", "100%", "--continuous", *FAST)
    eventually(lambda: len(fleet.jobs("SUCCEEDED")) == 5, "five")
    devices.come(NAMES[5:8])
    eventually(lambda: len(fleet.jobs("SUCCEEDED")) == 8, "three more")
    assert fleet.status(made) == "RUNNING"


def test_what_has_the_version_is_done(fleet: Fleet) -> None:
    devices = fleet.devices(NAMES[:4])
    devices.app["box-1"] = NEW
    devices.come()
    fleet.controller()
    fleet.knows(4)
    made = fleet.start("app", NEW, "--waves", "100%", *FAST)
    eventually(lambda: fleet.status(made) == "SUCCEEDED", "the end")
    assert sorted(fleet.jobs()) == ["box-0", "box-2", "box-3"]


def test_answers_about_others_jobs_are_quarantined(fleet: Fleet) -> None:
    devices = fleet.devices(NAMES[:3])
    devices.outcome = lambda name, job: "hang"
    devices.come()
    fleet.controller()
    fleet.knows(3)
    fleet.start("app", NEW, "--device", "box-0", "--waves", "100%", *FAST)
    eventually(lambda: fleet.jobs("IN_PROGRESS"), "a job")
    job = fleet.jobs()["box-0"]["job"]

    def answer(name: str, named: str, topic: str | None = None, **new: object) -> None:
        fields = {"job": named, "status": "SUCCEEDED", "step": "SOAKING", "reason": None,
                  "number": 9, "app": NEW, "models": OLD} | new  # fmt: skip
        body = to_json(JobExecution.model_validate(fields))
        devices.say(name, f"job/{topic or named}", body, retain=False)

    answer("box-1", job)
    answer("box-2", "f" * 16)
    answer("box-0", job, topic="e" * 16)
    answer("box-0", job, app=OLD)
    devices.say("box-0", f"job/{job}", b'{"v":1}', retain=False)
    devices.say("box-1", "state", b"shutting down")
    devices.say("box-1", "meta", b"{}" * 2000)
    devices.say("box-1", "shadow/reported", b'{"v":1,"version":7}')
    eventually(lambda: len(fleet.rows("quarantine")) == 8, "all are kept")
    found = {(row["device"], row["reason"]) for row in fleet.rows("quarantine")}
    assert found == {
        ("box-1", "another_device"), ("box-2", "unknown_job"), ("box-0", "fields"),
        ("box-0", "version"), ("box-1", "fields"),
    }  # fmt: skip
    assert fleet.jobs()["box-0"]["status"] == "IN_PROGRESS"
    assert {row["app"] for row in fleet.rows("devices")} == {OLD}
    assert {row["state"] for row in fleet.rows("devices")} == {"online"}
