"""Three real RabbitMQ nodes whose leader is killed under load; errors where there can be none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tools.common.errors import ToolError
from tools.fleet.cluster import root
from tools.fleet.cluster.__main__ import CACHE, main

ROOT = Path(os.environ.get("FLEETING_RABBITMQ", CACHE))
"""A folder of `python -m tools.fleet.cluster --root`."""


@pytest.mark.slow
@pytest.mark.skipif(root.missing() != "", reason=f"a cluster cannot be started: {root.missing()}")
@pytest.mark.skipif(
    not root.is_made(ROOT),
    reason=f"RabbitMQ is not installed in {ROOT}: run python -m tools.fleet.cluster once",
)
def test_nodes_and_a_collector_are_killed_and_nothing_is_lost(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = main(["--root", str(ROOT), "--devices", "20", "--interval", "2", "--minutes", "1",
                 "--json"])  # fmt: skip
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert code == 0, report
    assert report["comparison"]["acknowledged"] > 400
    assert len(report["incidents"]) == 6
    assert report["comparison"]["lost"] == report["comparison"]["doubled"] == 0


def test_a_folder_of_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(ToolError, match=r"half made|cannot be started|not installed"):
        root.make(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["mine"]


def test_whoever_is_not_root_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ToolError, match="root is needed"):
        root.make(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    status = tmp_path / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    status.write_text("Package: a\nVersion: 1\n\nPackage: rabbitmq-server\nStatus: ok\n"
                      "Version: 4.0.5-6\n\nPackage: z\nVersion: 9\n")  # fmt: skip
    assert root.version(tmp_path) == "4.0.5-6"
