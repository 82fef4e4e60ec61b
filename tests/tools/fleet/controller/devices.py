"""A small fleet in one MQTT client: births, wills, settings, jobs, as devices say them."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from agent.base.report import Job, JobExecution, Reported, from_json, to_json
from agent.base.report.device import RemoteSettings
from agent.uplink import strict_json
from agent.uplink.settings import MAX_JUMP, parse_desired
from tests.summaries import meta
from tools.common.mqtt_loop import end_loop

OLD, NEW = "0.1.0", "0.2.0"
FORCE = RemoteSettings.model_validate({
    "detection": {"tiles": None}, "micro": {"enabled": True}, "mqtt": {"discovery": False},
    "privacy": {"k": 5, "window": 300}, "tracking": {"max_faces": 40},
})  # fmt: skip
Outcome = Callable[[str, Job], str]
"""What becomes of a job: SUCCEEDED, ROLLED_BACK, REJECTED, hang (begun, never ended), silent."""


class Devices:
    """Does what each device would; `outcome` may be changed at any time."""

    def __init__(self, port: int, names: Iterable[str]) -> None:
        self.names = list(names)
        self.outcome: Outcome = lambda name, job: "SUCCEEDED"
        self.app = dict.fromkeys(self.names, OLD)
        self.models = dict.fromkeys(self.names, OLD)
        self.settings = dict.fromkeys(self.names, 0)
        self.force = dict.fromkeys(self.names, FORCE)
        self.online: set[str] = set()
        self.kept: dict[str, bytes] = {}
        """What the broker retains on each topic that a device reads."""
        self.jobs: dict[str, list[str]] = defaultdict(list)
        """Every job that a device was ever given while it listened."""
        self.desired: dict[str, list[int]] = defaultdict(list)
        """Every version of settings that came to a device."""
        self.said: dict[str, JobExecution] = {}
        """A device's last word about its job."""
        self.lock = threading.RLock()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.max_inflight_messages_set(1000)
        self._client.on_message = self._on_message
        ready = threading.Event()
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_connect = lambda client, *_: client.subscribe(
            [("fleeting/1/d/+/job/next", 1), ("fleeting/1/d/+/shadow/desired", 1)]
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert ready.wait(20)

    def close(self) -> None:
        self._client.disconnect()
        end_loop(self._client)

    def say(self, name: str, kind: str, body: bytes, retain: bool = True) -> None:
        self._client.publish(f"fleeting/1/d/{name}/{kind}", body, qos=1, retain=retain)

    def come(self, names: Iterable[str] | None = None) -> None:
        """Connect: birth, settings, what it knows of its job; then what the broker retains."""
        for name in self.names if names is None else names:
            with self.lock:
                self.online.add(name)
                self.say(name, "state", b"online")
                self.born(name)
                self.report(name)
                if name in self.said:
                    self.say(name, f"job/{self.said[name].job}", to_json(self.said[name]), False)
                for kind in ("job/next", "shadow/desired"):
                    if body := self.kept.get(f"fleeting/1/d/{name}/{kind}"):
                        self._hear(name, kind, body)

    def born(self, name: str) -> None:
        said = meta()
        birth = said.birth.model_copy(update={"software": self.app[name]})
        self.say(name, "meta", to_json(said.model_copy(update={"birth": birth})))

    def report(self, name: str) -> None:
        said = Reported(
            version=self.settings[name], defaults=0, config=self.force[name], rejected=()
        )
        self.say(name, "shadow/reported", to_json(said))

    def go(self, names: Iterable[str]) -> None:
        for name in names:
            with self.lock:
                self.online.discard(name)
                self.say(name, "state", b"offline")

    def answer(self, name: str, job: str, status: str, **more: Any) -> None:
        """Say how a job is; numbers rise."""
        with self.lock:
            before = self.said.get(name)
            number = before.number + 1 if before and before.job == job else 0
            fields = {"job": job, "status": status, "number": number, "app": self.app[name],
                      "models": self.models[name], "step": None, "reason": None}  # fmt: skip
            said = JobExecution.model_validate(fields | more)
            self.said[name] = said
            self.say(name, f"job/{job}", to_json(said), False)

    def begin(self, name: str, job: Job) -> None:
        outcome = self.outcome(name, job)
        if outcome == "silent":
            return
        if outcome == "REJECTED":
            self.answer(name, job.job, "REJECTED", reason="unlisted")
            return
        self.answer(name, job.job, "IN_PROGRESS", step="DOWNLOADING")
        if outcome == "hang":
            return
        self.answer(name, job.job, "IN_PROGRESS", step="UPDATING")
        if outcome == "ROLLED_BACK":
            self.answer(name, job.job, "FAILED", step="ROLLED_BACK", reason="crashed")
            return
        self.succeed(name, job.job, job.version)

    def succeed(self, name: str, job: str, version: str = NEW) -> None:
        with self.lock:
            self.app[name] = version
            self.answer(name, job, "SUCCEEDED", step="SOAKING")
            self.born(name)

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        name, kind = message.topic.split("/", 4)[3:]
        with self.lock:
            self.kept[message.topic] = bytes(message.payload)
            if name in self.online:
                self._hear(name, kind, bytes(message.payload))

    def _hear(self, name: str, kind: str, body: bytes) -> None:
        if kind == "shadow/desired":
            wished = parse_desired(strict_json.parse(body))
            self.desired[name].append(wished.version)
            if 0 < (wished.version - self.settings[name]) % 2**31 <= MAX_JUMP:
                self.settings[name] = wished.version
                values = self.force[name].model_dump()
                for path, value in wished.patch.values().items():
                    section, key = path.split(".")
                    values[section][key] = value
                self.force[name] = RemoteSettings.model_validate(values)
                self.report(name)
            return
        before = self.said.get(name)
        if not body:
            if before and before.status == "IN_PROGRESS" and before.step == "DOWNLOADING":
                self.answer(name, before.job, "CANCELED", step=before.step, reason="canceled")
            return
        job = from_json(Job, body)
        assert job is not None, body
        if before and before.job == job.job:
            self.say(name, f"job/{job.job}", to_json(before), False)
            return
        if job.job not in self.jobs[name]:
            self.jobs[name].append(job.job)
        self.begin(name, job)
