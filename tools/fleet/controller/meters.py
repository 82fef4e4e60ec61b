"""What Prometheus is told of the controller (`--metrics`)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from agent.base.report.job import JobState
from tools.common.errors import ToolError
from tools.fleet.controller.decide import RolloutStatus
from tools.fleet.repository.expiry import ends
from tools.fleet.store import Store


class Meters:
    """One set of metrics; each controller has its own registry."""

    def __init__(self, repository: Path | None = None) -> None:
        """`repository`: the update repository's folder `metadata`, if it is on this machine."""
        self._repository = repository
        self.registry = CollectorRegistry()
        self.devices = Gauge(
            "fleeting_devices", "Devices by what they said last.", ["state"], registry=self.registry
        )
        self.versions = Gauge(
            "fleeting_device_versions",
            "Devices by version in force.",
            ["kind", "version"],
            registry=self.registry,
        )
        self.jobs = Gauge(
            "fleeting_jobs",
            "Jobs by status and the device's reason.",
            ["status", "reason"],
            registry=self.registry,
        )
        self.rollouts = Gauge(
            "fleeting_rollouts", "Roll-outs by status.", ["status"], registry=self.registry
        )
        self.messages = Counter(
            "fleeting_controller_messages", "Messages taken from devices.", registry=self.registry
        )
        self.refused = Counter(
            "fleeting_controller_refused",
            "Messages that were quarantined.",
            ["reason"],
            registry=self.registry,
        )
        self.published = Counter(
            "fleeting_controller_published",
            "Messages that the broker took.",
            ["kind"],
            registry=self.registry,
        )
        self.not_taken = Counter(
            "fleeting_controller_publish_refused",
            "Messages that the broker refused.",
            registry=self.registry,
        )
        self.waiting = Gauge(
            "fleeting_controller_waiting",
            "Messages that wait to be published.",
            registry=self.registry,
        )
        self.sweep = Histogram(
            "fleeting_controller_sweep_seconds",
            "Seconds to compare the whole fleet with the database.",
            buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
            registry=self.registry,
        )
        self.lease = Gauge(
            "fleeting_controller_lease", "1: this controller acts.", registry=self.registry
        )
        self.connected = Gauge(
            "fleeting_controller_connected", "1: the broker is reached.", registry=self.registry
        )
        self.repository = Gauge(
            "fleeting_repository_seconds_left",
            "Until signed metadata of the update repository ends.",
            ["role"],
            registry=self.registry,
        )
        self.store_errors = Counter(
            "fleeting_controller_store_errors",
            "Times that the database was away.",
            registry=self.registry,
        )

    def serve(self, address: str) -> None:
        """Serve them at HOST:PORT. Raises `ToolError`."""
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit() or not 1 <= int(port) <= 65_535:
            raise ToolError(f"{address!r} is no address for metrics. Give 127.0.0.1:9465.")
        try:
            start_http_server(int(port), host.strip("[]"), self.registry)
        except OSError as error:
            raise ToolError(
                f"Metrics cannot be served at {address}: {error.strerror}. Give another address."
            ) from None

    def count(self, store: Store) -> None:
        """The gauges that come from the database and the update repository. Raises
        `StoreUnavailable`."""
        self.repository.clear()
        if self._repository is not None:
            for role, end in ends(self._repository).items():
                self.repository.labels(role).set(end - time.time())
        for gauge in (self.devices, self.versions, self.jobs, self.rollouts):
            gauge.clear()
        for state in ("online", "offline", "unknown"):
            self.devices.labels(state).set(0)
        for status in get_args(RolloutStatus):
            self.rollouts.labels(status).set(0)
        for status in get_args(JobState):
            self.jobs.labels(status, "none").set(0)
        for state, number in store.tuples(
            "SELECT COALESCE(state, 'unknown'), COUNT(*) FROM devices GROUP BY 1"
        ):
            self.devices.labels(state).set(number)
        for kind in ("app", "models"):
            for version, number in store.tuples(
                f"SELECT COALESCE({kind}, 'unknown'), COUNT(*) FROM devices GROUP BY 1"
            ):
                self.versions.labels(kind, version).set(number)
        for status, why, number in store.tuples(
            "SELECT status, COALESCE(reason, 'none'), COUNT(*) FROM jobs GROUP BY 1, 2"
        ):
            self.jobs.labels(status, why).set(number)
        for status, number in store.tuples("SELECT status, COUNT(*) FROM rollouts GROUP BY 1"):
            self.rollouts.labels(status).set(number)
