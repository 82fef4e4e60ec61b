"""With certificates and access lists: the controller as operator `fleet`, a device as itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.base.report import Job, JobExecution, from_json, to_json
from tests.summaries import meta
from tests.tools.fleet.broker.test_broker import ROOT, A, Fleet
from tests.tools.fleet.controller.devices import NEW, OLD
from tests.uplink.conftest import eventually
from tools.common.mosquitto import die_with_parent, installed, listens
from tools.fleet.cli import main
from tools.fleet.store import open_store

pytestmark = pytest.mark.slow


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Fleet]:
    if installed() is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    made = Fleet(tmp_path / "fleet")
    (made.folder / "fleet.toml").write_text(f"[broker]\nport = {made.operator_port}\n")
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tools.fleet", *words], cwd=ROOT, preexec_fn=die_with_parent,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for words in (
            ("serve", str(made.folder)),
            ("control", "--fleet", str(made.folder), "--sweep", "1"),
        )
    ]  # fmt: skip
    eventually(lambda: listens(made.operator_port) and listens(made.port), "Mosquitto listens")
    yield made
    for client in made.clients:
        client.close()
    for process in processes:
        process.terminate()
        process.wait(20)


def test_a_job_goes_out_and_its_answer_comes_back(secured: Fleet) -> None:
    def run(*words: str) -> None:
        assert main([*words, "--fleet", str(secured.folder)]) == 0

    base = f"fleeting/1/d/{A}"
    device = secured.device(A)
    device.subscribe(f"{base}/job/next", f"{base}/shadow/desired")
    assert device.publish(f"{base}/state", b"online", retain=True) in (0, 16)
    assert device.publish(f"{base}/meta", to_json(meta()), retain=True) in (0, 16)
    with open_store(f"sqlite:///{secured.folder / 'fleet.db'}") as store:
        eventually(lambda: store.execute("SELECT 1 AS one FROM devices"), "the device is known")
        run("config", "set", "privacy.k=9", "--device", A)
        run("rollout", "start", "app", NEW, "--waves", "100%", "--gate", "soak=0")
        wanted = {f"{base}/job/next", f"{base}/shadow/desired"}
        eventually(lambda: wanted <= {*device.topics()}, "both are heard")
        job = next(
            made for topic, body in device.messages
            if topic.endswith("next") and (made := from_json(Job, body))
        )  # fmt: skip
        for number, status in enumerate(("IN_PROGRESS", "SUCCEEDED")):
            said = JobExecution.model_validate(
                {"job": job.job, "status": status, "step": None, "reason": None, "number": number,
                 "app": NEW if status == "SUCCEEDED" else OLD, "models": OLD}
            )  # fmt: skip
            assert device.publish(f"{base}/job/{job.job}", to_json(said)) == 0
        eventually(
            lambda: store.execute("SELECT 1 AS one FROM rollouts WHERE status = 'SUCCEEDED'"),
            "the end",
        )
        eventually(lambda: (f"{base}/job/next", b"") in device.messages, "it is taken away")
