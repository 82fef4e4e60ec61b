"""What the process that speaks to a speech-to-text server may do once it is sealed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SEALED = """
import json, os, socket, sys
sys.path.insert(0, {root!r})
from agent.perceive.transcription.seal import seal
lacking = seal()

def code(attempt):
    try:
        attempt()
    except OSError as error:
        return error.errno
    return 0

print(json.dumps(dict(lacking=lacking, local=code(lambda: socket.socket(socket.AF_UNIX)), out=[
    code(lambda: socket.socket(socket.AF_INET)), code(lambda: socket.socket(socket.AF_INET6)),
    code(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)),
    code(lambda: socket.socket(socket.AF_UNIX).bind({bound!r})),
    code(lambda: open("/etc/hosts")), code(lambda: open({made!r}, "w")),
    code(lambda: os.execv("/bin/true", ["true"])), code(lambda: os.fork()),
])))
"""


@pytest.mark.slow
def test_it_connects_to_local_sockets_and_does_nothing_else(tmp_path: Path) -> None:
    script = SEALED.format(
        root=str(ROOT), bound=str(tmp_path / "bound"), made=str(tmp_path / "made")
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["lacking"] == []
    assert found["local"] == 0
    assert all(found["out"]), found
    assert list(tmp_path.iterdir()) == []
