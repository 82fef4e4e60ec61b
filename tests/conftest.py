"""Settings for the whole suite; a test that is skipped in continuous integration has failed."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings
from pluggy import Result

# Timing is never asserted: the first call of a kernel compiles it.
settings.register_profile("fleeting", deadline=None)
settings.load_profile("fleeting")

MACHINE = {
    "tests/contracts/test_traces.py::test_the_uplink": "a kernel with Landlock",
    "tests/desk/review/test_browser.py": "Chromium, and playwright",
    "tests/host/sandbox/": "a kernel with seccomp, Landlock, namespaces, cgroup v2 and ptrace",
    "tests/host/test_supervise.py::": "namespaces of a user's own, or root",
    "tests/tools/test_install.py::test_without_systemd": "a machine that systemd does not run",
    "tests/tools/eval/test_micro.py::test_a_checkpoint_of_another_network": "the train extra",
    "tests/tools/eval/test_micro.py::test_false_alarms_are_those": "the train extra",
    "tests/tools/fleet/console/test_chromium.py": "Chromium, Playwright and axe",
    "tests/tools/fleet/console/test_tour.py": "Chromium, Playwright and Mosquitto",
    "tests/tools/fleet/seen/test_flow.py::test_the_functions": "Node.js",
    "tests/tools/train/test_start.py": "the train extra",
    "tests/tools/train/test_voice.py": "the train extra",
    "tests/tools/train/test_activity.py::test_the_network_answers": "the train extra",
    "tests/tools/train/test_activity.py::test_area_under_the_curve": "the train extra",
    "tests/tools/train/test_text.py::test_the_agent_computes": "the train extra",
    "tests/tools/train/test_text.py::test_languages_are_learnt": "the train extra",
    "tests/tools/fleet/cluster/": "root, namespaces, and RabbitMQ in a root made by debootstrap",
    "tests/uplink/receipt/test_book.py::test_the_book_needs_no_memory": "Linux 6.3",
    "tests/perceive/capture/test_v4l2_camera.py": "a C compiler",
    "tests/inference/test_tflite.py::test_tflite_runtime": "Python 3.11, wheels' last",
    "tests/update/test_slots.py::test_a_full_disk": "the right to mount a small file system",
    "tests/update/test_process.py::test_a_folder_of_somebody": "root",
    "tests/tools/robustness/test_disk.py": "a C compiler",
    "tests/tools/robustness/test_power.py::test_power": "the right to mount an ext4 image",
    "tests/tools/robustness/test_update.py::test_power": "the right to mount an ext4 image",
    "tests/tools/robustness/test_update.py::test_a_command": "the right to make a mount namespace",
    "tests/wall/test_outbox.py::test_sqlite_keeps": "SQLite as a library",
    "tests/wall/test_outbox.py::test_a_full_disk": "the right to mount a small file system",
}
"""Tests that CI may skip, by the beginning of their node id, each with what it needs of the
machine."""


LONG = (
    "tests/tools/fleet/demo/test_demo.py::test_the_whole_demo",
    "tests/tools/fleet/console/test_tour.py::test_the_whole_tour",
    "tests/tools/fleet/cluster/test_cluster.py::test_nodes",
    "tests/uplink/test_job_process.py",
    "tests/uplink/test_hostile_process.py",
    "tests/tools/robustness/test_leaks.py",
    "tests/tools/fleet/simulate/test_run.py::test_a_killed",
    "tests/tools/robustness/test_crash.py::test_six",
    "tests/desk/audit/test_run.py::test_the_real_agent",
    "tests/stories/test_run.py",
    "tests/stories/test_stays.py",
    "tests/privacy/test_publishing.py",
    "tests/perceive/test_heat.py::test_a_real_process",
)
"""Tests of half a minute and more, by the beginning of their node id, the longest first."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests come first, dealt out to the workers, each of which begins with an equal part of
    the list: one that came last would keep all others waiting."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [each for begin in LONG for each in items if each.nodeid.startswith(begin)]
    first = {*long}
    rest = [each for each in items if each not in first]
    ordered: list[pytest.Item] = []
    for worker in range(workers):
        dealt = long[worker::workers]
        part = max((len(items) - len(ordered)) // (workers - worker) - len(dealt), 0)
        ordered += [*dealt, *rest[:part]]
        rest = rest[part:]
    items[:] = [*ordered, *rest]


WORKER_BYTES = 1_300_000_000
"""Memory that a worker needs, with the processes that its tests start."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means: two for each core, since many tests wait for a process, a broker or a
    clock; fewer where memory is short. PYTEST_XDIST_AUTO_NUM_WORKERS, as always, decides first."""
    given = os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS")
    if given:
        return int(given)
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    return max(1, min(2 * len(os.sched_getaffinity(0)), free // WORKER_BYTES))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Result[pytest.TestReport], None]:
    """A test, or its set-up, that is skipped."""
    _fail_where_skipped((yield).get_result())


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report() -> Generator[None, Result[pytest.CollectReport], None]:
    """A whole file that is skipped."""
    _fail_where_skipped((yield).get_result())


def _fail_where_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """What never runs guards nothing."""
    allowed = hasattr(report, "wasxfail") or report.nodeid.startswith(tuple(MACHINE))
    if report.outcome == "skipped" and os.environ.get("CI") and not allowed:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped ({reason}); in CI that is a failure."
