"""The demo, whole: a good release reaches everybody, a bad one halts, nothing is lost."""

from __future__ import annotations

import ast
import json
import subprocess
from pathlib import Path

import pytest

from agent import __version__
from tools.common.mosquitto import installed
from tools.fleet.demo.__main__ import main
from tools.fleet.demo.agent import make_release, next_versions
from tools.fleet.repository.archive import build

SCRIPT = Path(__file__).parents[4] / "tools/fleet/run-demo"


@pytest.mark.slow
@pytest.mark.skipif(installed() is None, reason="Mosquitto is not installed")
def test_the_whole_demo(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err + captured.out
    report = json.loads(captured.out.splitlines()[-1])
    good, bad = next_versions()
    assert set(report["devices"].values()) == {good}
    assert len(report["devices"]) == 21
    assert (report["good"]["status"], report["bad"]["status"]) == ("SUCCEEDED", "HALTED")
    ends = [(each["version"], each["status"], each["step"]) for each in report["agent"]]
    assert ends == [(good, "SUCCEEDED", "SOAKING"), (bad, "FAILED", "ROLLED_BACK")]
    assert report["comparison"]["lost"] == report["gaps"] == 0


@pytest.mark.slow
def test_releases_are_what_a_device_unpacks(tmp_path: Path) -> None:
    good, bad = next_versions()
    assert good != __version__ != bad
    for version in (good, bad):
        source = make_release(tmp_path / version, version, bad=version == bad)
        assert f'__version__ = "{version}"' in (source / "agent/__init__.py").read_text()
        code = (source / "agent/perceive/start.py").read_text()
        ast.parse(code)
        assert ("planted by the demo" in code) == (version == bad)
        assert build("app", version, source, tmp_path / "out").path.is_file()


def test_the_script_is_one_for_any_shell() -> None:
    assert SCRIPT.stat().st_mode & 0o111
    assert subprocess.run(["sh", "-n", str(SCRIPT)], check=False).returncode == 0
