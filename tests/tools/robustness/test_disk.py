"""A disk in trouble: the agent comes through, and what does not is found."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from tools.robustness.disk import run, torn
from tools.robustness.disk.cli import text
from tools.robustness.disk.control import WRITE

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="there is no C compiler (apt install gcc)"
)


@pytest.mark.slow
def test_every_fiftieth_call_fails() -> None:
    report = run.run(step=50, troubles=run.TROUBLES[1:4:2])
    assert report["passed"], report["violations"]
    assert report["cases"] > 6
    assert "disk full from here on" in text(report)


@pytest.mark.slow
def test_a_disk_that_never_fails_proves_nothing() -> None:
    never = run.Trouble("never", errno.EIO, 0 * WRITE, lasting=True)
    assert not run.run(scenes=("perceive",), troubles=(never,))["passed"]


@pytest.mark.slow
def test_a_torn_page_is_found_where_more_was_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, found = torn.run(tmp_path / "one", places=5)
    assert row["cases"] >= 20
    assert found == []
    look = torn._look
    monkeypatch.setattr(torn, "_look", lambda folder, least: look(folder, least + 9))
    row, found = torn.run(tmp_path / "two", places=5)
    assert row["wrong"] == row["cases"] == len(found)
