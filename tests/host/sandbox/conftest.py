"""A sandbox cannot be left: each test enters one in a subprocess."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]

PRELUDE = """
import ctypes, errno, json, os, signal, socket, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from agent.host.sandbox import kernel, landlock, seccomp, probe
from agent.host.sandbox.enter import enter_perceive, enter_uplink, restrict_perceive
own = Path({own!r})

def code(attempt):
    \"\"\"0, or the errno with which it was refused.\"\"\"
    try:
        attempt()
    except OSError as error:
        return error.errno
    return 0

def emit(**what):
    print(json.dumps(what))
"""

Inside = Callable[..., dict[str, Any]]


@pytest.fixture
def inside(tmp_path: Path) -> Inside:
    """Runs Python in a subprocess and returns what it emits; `own` is its writable folder."""
    own = tmp_path / "own"
    own.mkdir()

    def run(script: str, **settings: Any) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-c", PRELUDE.format(root=str(ROOT), own=str(own)) + script],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=tmp_path,
            **settings,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return {**found, "log": done.stderr}

    return run
