"""Settings for the whole suite; a test that is skipped in continuous integration has failed."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings
from pluggy import Result

# Timing is never asserted: the first call of a kernel compiles it.
settings.register_profile("fleeting", deadline=None)
settings.load_profile("fleeting")

HARDWARE: dict[str, str] = {}
"""Tests that CI may skip, by node id, each with the device that it needs."""


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
    allowed = hasattr(report, "wasxfail") or report.nodeid in HARDWARE
    if report.outcome == "skipped" and os.environ.get("CI") and not allowed:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped ({reason}); in CI that is a failure."
