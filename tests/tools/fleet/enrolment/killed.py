"""`fleeting enrol`, killed: at every step on the file system in turn, and at random instants.

    python -m tests.tools.fleet.enrolment.killed FOLDER steps|SECONDS enrol|renew [BUNDLE]

Each attempt is a child that is killed as by kill -9; between two the folder is examined. Prints how
many were killed; exit 1 at the first file whose key and certificate do not belong together.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from agent.uplink.enrol import converse
from agent.uplink.enrol.errors import EnrolError
from agent.uplink.enrol.identity import Identity
from agent.uplink.enrol.run import Session

_STEPS = ("open", "fsync", "replace", "unlink", "write", "fchmod")
_MOST = 400


def _run(folder: Path, verb: str, bundle: Path | None) -> None:
    """In the child; exit 0: done."""
    converse._PAUSES = (0.05, 0.1)
    session = Session(Identity(folder), 60.0, clock=time.time, say=lambda line: None)
    try:
        if verb == "renew":
            session.renew(early=True)
        else:
            known = (folder / "enrol.toml").exists() or (folder / "device.pem").exists()
            session.enrol(None if known else bundle)
    except EnrolError as error:
        # Renewed already, and not due again: the one killed last had got through.
        print(f"child: {error}", file=sys.stderr)
        os._exit(3)
    os._exit(0)


def _die_at(step: int) -> None:
    """Be killed before the `step`-th call."""
    left = [step]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **more)

        return call

    for name in _STEPS:
        setattr(os, name, counted(getattr(os, name)))


def problem(folder: Path) -> str:
    """What is wrong in a folder; empty: nothing."""
    for path in folder.glob("*.pem"):
        content = path.read_bytes()
        if path.name == "ca.pem":
            continue
        try:
            key = load_pem_private_key(content, None).public_key()
            other: Any = (
                x509.load_pem_x509_csr(content)
                if path.name == "pending.pem"
                else x509.load_pem_x509_certificate(content)
            )
        except ValueError:
            return f"{path.name} is half written"
        if other.public_key() != key:
            return f"{path.name} holds what does not belong together"
        if path.stat().st_mode & 0o077:
            return f"{path.name} may be read by others"
    return ""


def main() -> int:
    folder, how, verb = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    bundle = Path(sys.argv[4]) if len(sys.argv) > 4 else None
    had_one = (folder / "device.pem").exists()
    for attempt in range(_MOST):
        child = os.fork()
        if child == 0:
            if how == "steps":
                _die_at(attempt)
            _run(folder, verb, bundle)
        if how != "steps":
            time.sleep(random.uniform(0, min(float(how), 0.02 * (attempt + 1))))
            os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        found = problem(folder)
        if not found and had_one and not (folder / "device.pem").exists():
            found = "there is no certificate any more"
        if found:
            print(f"after attempt {attempt}: {found}", file=sys.stderr)
            return 1
        if code in (0, 3):
            print(attempt)
            return code
    print(f"not done after {_MOST} attempts", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
