"""An interpreter that has the peer: given, this one, or an environment made under `runs/peer`."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from tools.common.errors import ToolError
from tools.common.files import ROOT

VERSION = "0.10.21"
"""The last release with Face Mesh; it needs NumPy 1 and Python 3.12 or older."""
FOLDER = ROOT / "runs" / "peer"


def peer_python(given: Path | None) -> Path:
    """The interpreter to run the peer with; makes an environment when there is none.

    Raises `ToolError` when that cannot be done.
    """
    if given is not None:
        if not _has_peer(given):
            raise ToolError(f"{given} cannot import mediapipe. Install it there, or name another.")
        return given
    if importlib.util.find_spec("mediapipe") is not None:
        return Path(sys.executable)
    python = FOLDER / "bin" / "python"
    if python.is_file() and _has_peer(python):
        return python
    base = _base()
    print(f"bench: installing mediapipe {VERSION} into {FOLDER} (once)", file=sys.stderr)
    _call([base, "-m", "venv", "--clear", str(FOLDER)])
    _call(
        [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--no-compile",
            f"mediapipe=={VERSION}",
        ]
    )
    if not _has_peer(python):
        raise ToolError(
            f"mediapipe {VERSION} is installed in {FOLDER} and cannot be imported. Delete that "
            "folder and try again, or give --peer-python."
        )
    return python


def _base() -> str:
    """A Python that mediapipe has wheels for."""
    for name in (sys.executable, "python3.12", "python3.11"):
        path = shutil.which(name)
        if path is None:
            continue
        test = (
            "import sys, venv, ensurepip; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 12))"
        )
        if subprocess.run([path, "-c", test], capture_output=True, check=False).returncode == 0:
            return path
    raise ToolError(
        f"mediapipe {VERSION} needs Python 3.9 to 3.12 and none was found. Install one, or give "
        "--peer-python PATH of an interpreter that has mediapipe (newer ones need --peer-model)."
    )


def _has_peer(python: Path) -> bool:
    try:
        done = subprocess.run(
            [str(python), "-c", "import mediapipe"], capture_output=True, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise ToolError(
            f"{' '.join(command[1:4])} failed: {lines[-1]}. Check the network and the space on "
            "disk, or give --peer-python."
        )
