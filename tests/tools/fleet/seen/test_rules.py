"""The alert rules in a real Prometheus: each fires when it should, and is silent otherwise."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools.fleet.collector.conftest import Devices, Site, body, devices, make_site, site
from tests.uplink.conftest import eventually
from tools.common.mosquitto import die_with_parent, free_port, terminate
from tools.fleet.collector.metrics import Metrics
from tools.fleet.controller.meters import Meters
from tools.fleet.seen.copy import RULES, prometheus_yml

__all__ = ["devices", "make_site", "site"]  # fixtures

WELL = {
    'up{job="fleeting-collector", instance="a"}': "1x600",
    'up{job="fleeting-collector", instance="b"}': "1x600",
    'up{job="fleeting-controller", instance="c"}': "1x600",
    'fleeting_collector_database_up{instance="a"}': "1x600",
    'fleeting_collector_broker_up{instance="a"}': "1x600",
    'fleeting_collector_oldest_unacknowledged_seconds{instance="a"}': "2x600",
    'fleeting_collector_stored_total{kind="summary", instance="a"}': "0+60x600",
    'fleeting_collector_numbers_missed_total{instance="a"}': "0+1x600",
    'fleeting_collector_numbers_filled_total{instance="a"}': "0+1x600",
    'fleeting_collector_quarantined_total{reason="schema", instance="a"}': "0x600",
    'fleeting_collector_dropped_total{instance="a"}': "0x600",
    'fleeting_controller_lease{instance="c"}': "1x600",
    'fleeting_controller_lease{instance="d"}': "0x600",
    'fleeting_controller_connected{instance="c"}': "1x600",
    'fleeting_controller_store_errors_total{instance="c"}': "0x600",
    'fleeting_controller_publish_refused_total{instance="c"}': "0x600",
    'fleeting_controller_waiting{instance="c"}': "20x600",
    'fleeting_controller_sweep_seconds_bucket{instance="c", le="1"}': "0+1x600",
    'fleeting_controller_sweep_seconds_bucket{instance="c", le="30"}': "0+1x600",
    'fleeting_controller_sweep_seconds_bucket{instance="c", le="+Inf"}': "0+1x600",
    'fleeting_controller_refused_total{reason="schema", instance="c"}': "0x600",
    'fleeting_repository_seconds_left{role="timestamp", instance="c"}': "600000-60x600",
    'fleeting_repository_seconds_left{role="root", instance="c"}': "9000000-60x600",
    'fleeting_devices{state="online", instance="c"}': "95x600",
    'fleeting_devices{state="offline", instance="c"}': "5x600",
    'fleeting_devices{state="unknown", instance="c"}': "0x600",
    'fleeting_rollouts{status="HALTED", instance="c"}': "2x600",
    'fleeting_jobs{status="FAILED", reason="none", instance="c"}': "0x600",
    'fleeting_jobs{status="FAILED", reason="crashed", instance="c"}': "7x600",
    'fleeting_jobs{status="TIMED_OUT", reason="none", instance="c"}': "0x600",
    'fleeting_jobs{status="SUCCEEDED", reason="none", instance="c"}': "0+1x600",
    'fleeting_jobs{status="REJECTED", reason="floor", instance="c"}': "3x600",
    'fleeting_jobs{status="REJECTED", reason="expired", instance="c"}': "3x600",
    'fleeting_jobs{status="REJECTED", reason="base", instance="c"}': "0+1x600",
}
"""Some days in a fleet that has seen things, a sample a minute."""
ILL: dict[str, dict[str, str | None]] = {
    "FleetingNoCollector": {
        'up{job="fleeting-collector", instance="a"}': "0x600",
        'up{job="fleeting-collector", instance="b"}': None,
    },
    "FleetingCollectorDown": {'up{job="fleeting-collector", instance="b"}': "1x100 0x500"},
    "FleetingCollectorDatabaseAway": {
        'fleeting_collector_database_up{instance="a"}': "1x100 0x500"
    },
    "FleetingCollectorBrokerAway": {'fleeting_collector_broker_up{instance="a"}': "1x100 0x500"},
    "FleetingCollectorBehind": {
        'fleeting_collector_oldest_unacknowledged_seconds{instance="a"}': "0+2x600"
    },
    "FleetingNothingStored": {
        'fleeting_collector_stored_total{kind="summary", instance="a"}': "0+60x100 6000x500"
    },
    "FleetingSummariesMissing": {
        'fleeting_collector_numbers_filled_total{instance="a"}': "0+1x150 150x450"
    },
    "FleetingQuarantine": {
        'fleeting_collector_quarantined_total{reason="schema", instance="a"}': "0x100 0+5x500"
    },
    "FleetingHealthDropped": {'fleeting_collector_dropped_total{instance="a"}': "0x100 0+1x500"},
    "FleetingTimestampEnds": {
        'fleeting_repository_seconds_left{role="timestamp", instance="c"}': "180000-60x600"
    },
    "FleetingOfflineRoleEnds": {
        'fleeting_repository_seconds_left{role="root", instance="c"}': "2600000-60x600"
    },
    "FleetingNoController": {'fleeting_controller_lease{instance="c"}': "1x100 0x500"},
    "FleetingTwoControllers": {'fleeting_controller_lease{instance="d"}': "0x100 1x500"},
    "FleetingControllerBrokerAway": {'fleeting_controller_connected{instance="c"}': "1x100 0x500"},
    "FleetingControllerDatabaseAway": {
        'fleeting_controller_store_errors_total{instance="c"}': "0x100 0+1x500"
    },
    "FleetingPublishRefused": {
        'fleeting_controller_publish_refused_total{instance="c"}': "0x195 1x400"
    },
    "FleetingPublishBacklog": {'fleeting_controller_waiting{instance="c"}': "20x100 2000x500"},
    "FleetingSweepSlow": {
        'fleeting_controller_sweep_seconds_bucket{instance="c", le="1"}': "0x600",
    },
    "FleetingControllerQuarantine": {
        'fleeting_controller_refused_total{reason="schema", instance="c"}': "0x100 0+5x500"
    },
    "FleetingManyOffline": {
        'fleeting_devices{state="online", instance="c"}': "95x100 70x500",
        'fleeting_devices{state="offline", instance="c"}': "5x100 30x500",
    },
    "FleetingRolloutHalted": {'fleeting_rollouts{status="HALTED", instance="c"}': "2x180 3x420"},
    "FleetingJobsFail": {
        'fleeting_jobs{status="FAILED", reason="crashed", instance="c"}': "7x170 15x430"
    },
    "FleetingUpdateUntrusted": {
        'fleeting_jobs{status="REJECTED", reason="untrusted", instance="c"}': "_x180 1x420"
    },
    "FleetingUpdateExpired": {
        'fleeting_jobs{status="REJECTED", reason="expired", instance="c"}': "3x180 4x420"
    },
}
"""What of `WELL` changes, and what comes with that; null: it is not there at all."""
AT = "200m"


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (apt install prometheus)")
    return found


def case(changed: dict[str, str | None], firing: dict[str, int]) -> dict[str, Any]:
    """Made series, and how many of each alert fire then."""
    series = {name: values for name, values in {**WELL, **changed}.items() if values}
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'sum(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)',
                "eval_time": AT,
                "exp_samples": [{"labels": "{}", "value": number}],
            }
            for alert, number in firing.items()
        ],
    }


def promtool(folder: Path, cases: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    file = folder / "test.yml"  # JSON is YAML
    file.write_text(
        json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "5m", "tests": cases})
    )
    return subprocess.run(
        [program("promtool"), "test", "rules", str(file)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_each_alert_fires_and_is_silent_when_all_is_well(tmp_path: Path) -> None:
    cases = [case(changed, {alert: 1}) for alert, changed in ILL.items()]
    done = promtool(tmp_path, [case({}, dict.fromkeys(ILL, 0)), *cases])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_a_rule_that_does_not_fire_would_be_seen(tmp_path: Path) -> None:
    done = promtool(tmp_path, [case({}, {"FleetingNoController": 1})])
    assert done.returncode != 0


class Prometheus:
    """A server on a free loopback port."""

    def __init__(self, folder: Path, config: str) -> None:
        self.port = free_port()
        shutil.copy(RULES, folder / "rules.yml")
        (folder / "prometheus.yml").write_text(config)
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program("prometheus"), f"--config.file={folder / 'prometheus.yml'}",
                 f"--storage.tsdb.path={folder / 'data'}",
                 f"--web.listen-address=127.0.0.1:{self.port}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent,
            )  # fmt: skip
        self._log = folder / "log"

    def api(self, path: str) -> Any:
        """The data of an answer, once there is one."""
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}") as got:
                    return json.load(got)["data"]
            except OSError:
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.1)

    def value(self, query: str) -> float | None:
        found = self.api(f"query?query={urllib.request.quote(query)}")["result"]  # type: ignore[attr-defined]
        return float(found[0]["value"][1]) if found else None

    def stop(self) -> None:
        terminate(self._process)


@pytest.fixture
def servers() -> Iterator[list[Prometheus]]:
    running: list[Prometheus] = []
    yield running
    for each in running:
        each.stop()


@pytest.mark.slow
def test_a_real_prometheus_loads_every_rule(tmp_path: Path, servers: list[Prometheus]) -> None:
    servers.append(Prometheus(tmp_path, prometheus_yml()))
    groups = servers[0].api("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == set(ILL)
    for rule in rules:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"].endswith(".")
        assert len(rule["annotations"]["description"]) > 20

    def jobs() -> set[str]:
        return {each["labels"]["job"] for each in servers[0].api("targets")["activeTargets"]}

    eventually(lambda: jobs() == {"fleeting-collector", "fleeting-controller"}, "both jobs")


def metrics_in(text: str) -> set[str]:
    return set(re.findall(r"\bfleet(?:ing)?_[a-z_]+", text))


def test_every_metric_that_a_rule_reads_is_exposed() -> None:
    """By collector and controller as they are, not as they were when the rules were written."""
    exposed = {"up", "fleeting"}
    for registry in (Metrics().registry, Meters().registry):
        for family in registry.collect():
            suffix = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
            exposed |= {family.name + each for each in suffix.get(family.type, ("",))}
    read = {name for rule in expressions(RULES.read_text()) for name in metrics_in(rule)}
    assert read <= exposed
    assert len(read) > 15
    made = {name.partition("{")[0] for name in (*WELL, *(n for each in ILL.values() for n in each))}
    assert made <= exposed
    assert read <= made, "an alert that is tried without its metric"


def expressions(text: str) -> list[str]:
    """What follows `expr:`, up to the next key."""
    found = re.findall(r"expr: (?:>-\n)?(.*?)\n +(?:for|labels):", text, re.DOTALL)
    assert len(found) == len(ILL)
    return found


@pytest.mark.slow
def test_a_real_prometheus_watches_a_real_collector(
    site: Site, devices: Devices, tmp_path: Path, servers: list[Prometheus]
) -> None:
    """What it stores is counted; when it is killed an alert begins to wait."""
    process = site.collect()
    folder = tmp_path / "prometheus"
    folder.mkdir()
    quick = prometheus_yml([f"127.0.0.1:{site.metrics_port}"], ["127.0.0.1:1"])
    server = Prometheus(folder, quick.replace("15s", "1s"))
    servers.append(server)
    eventually(lambda: server.value('up{job="fleeting-collector"}') == 1, "a scrape")
    for seq in range(20):
        devices.say("box-1", body(seq))
    devices.say("box-1", b"{}")
    devices.settle()
    stored = 'sum(fleeting_collector_stored_total{kind="summary"})'
    eventually(lambda: server.value(stored) == 20, "20 summaries counted")
    eventually(
        lambda: server.value("sum(fleeting_collector_quarantined_total)") == 1, "the one refused"
    )
    assert server.value("fleeting_collector_database_up") == 1
    waiting = 'ALERTS{alertname="FleetingNoCollector"}'
    assert server.value(waiting) is None
    process.kill()
    eventually(lambda: server.value(waiting) == 1, "an alert")
