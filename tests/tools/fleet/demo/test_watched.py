"""One command to a console: it says how to sign in, signs in, and leaves nothing behind."""

from __future__ import annotations

import http.cookiejar
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tools.common.files import ROOT
from tools.common.mosquitto import die_with_parent, installed

pytest.importorskip("uvicorn", reason="pip install '.[fleet]'")


@pytest.mark.slow
@pytest.mark.skipif(installed() is None, reason="Mosquitto is not installed")
def test_from_one_command_to_windows_in_a_browser_and_back() -> None:
    with tempfile.TemporaryDirectory(prefix="watched-", dir="/tmp") as made:  # sockets' paths
        _from_one_command(Path(made))


def _from_one_command(tmp_path: Path) -> None:
    with (tmp_path / "said").open("wb") as said:
        demo = subprocess.Popen(
            [sys.executable, "-m", "tools.fleet.demo", "--console", "--json"],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said,
            env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
            preexec_fn=die_with_parent,
        )  # fmt: skip
    try:
        assert demo.stdout is not None
        line = demo.stdout.readline()
        assert line, (tmp_path / "said").read_text()
        found = json.loads(line)
        assert "agent" in _devices(found["address"], found["user"], found["password"])
        assert Path(f"/proc/{found['agent']}").exists()
        demo.send_signal(signal.SIGINT)
        demo.send_signal(signal.SIGINT)  # an impatient one
        assert demo.wait(120) == 0
    finally:
        demo.kill()
        demo.wait()
    assert [each.name for each in tmp_path.iterdir()] == ["said"]
    assert not Path(f"/proc/{found['agent']}").exists()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(found["address"], timeout=5)


def _devices(address: str, user: str, password: str) -> str:
    """The page of devices, for somebody who signs in."""
    cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    browser = urllib.request.build_opener(cookies)
    browser.addheaders = [("Origin", address)]
    with browser.open(f"{address}/login", timeout=60) as answer:
        page = answer.read().decode()
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
    form = urllib.parse.urlencode({**hidden, "name": user, "password": password})
    browser.open(f"{address}/login", form.encode(), timeout=60).close()
    with browser.open(f"{address}/devices", timeout=60) as answer:
        return answer.read().decode()
