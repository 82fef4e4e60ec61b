"""`python -m agent.host.sandbox [perceive|camera|uplink] [--json]`: enter the sandbox of one
process, or of each in a process of its own, try what should be refused, and print the result."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any, get_args

from agent.base.report import PerceiveCage, UplinkCage, to_json
from agent.base.report.device import PerceiveOpening, UplinkOpening
from agent.host.sandbox import places, probe, refusals
from agent.host.sandbox.camera import restrict_camera, restrict_spawner
from agent.host.sandbox.enter import enter_perceive, enter_uplink
from agent.host.sandbox.refusals import WORDS

_NAMES = {
    "perceive": get_args(PerceiveOpening),
    "camera": (*get_args(PerceiveOpening), "device"),
    "uplink": get_args(UplinkOpening),
}
_TIMEOUT = 60.0
"""Seconds for one half."""


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 where all was refused, 1 where something was open, 2 where a half could not be
    tried."""
    parser = argparse.ArgumentParser(prog="python -m agent.host.sandbox", description=__doc__)
    parser.add_argument("half", nargs="?", choices=tuple(_NAMES), help="default: each")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--port", type=int, default=1883, help="the broker's (default: 1883)")
    args = parser.parse_args(arguments)
    try:
        tried = (
            [_enter(args.half, args.port)]
            if args.half
            else [_in_a_process(half, args.port) for half in _NAMES]
        )
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        print(f"The sandbox could not be tried: {error}", file=sys.stderr)
        return 2
    print(json.dumps(tried[0] if args.half else tried) if args.json else table(tried))
    return int(any(each["cage"]["found_open"] for each in tried))


def table(tried: list[dict[str, Any]]) -> str:
    """What was tried, expected and found, one line each."""
    lines = []
    for each in tried:
        layers = ", ".join(each["cage"]["layers"]) or "none"
        lines += [f"{each['half']} (layers: {layers})"]
        lines += [f"  {'tried':<72} {'expected':<9} found"]
        lines += [
            f"  {WORDS[name]:<72} {'refused':<9} "
            f"{'OPEN' if name in each['cage']['found_open'] else 'refused'}"
            for name in _NAMES[each["half"]]
        ]
    return "\n".join(lines)


def _enter(half: str, port: int) -> dict[str, Any]:
    """In this process, for good."""
    if half == "camera":
        return _enter_camera()
    cage: PerceiveCage | UplinkCage = (
        enter_perceive([]) if half == "perceive" else enter_uplink([], [], port)
    )
    return {"half": half, "cage": json.loads(to_json(cage))}


def _enter_camera() -> dict[str, Any]:
    """As the spawner and then its child do (`agent.perceive.capture.spawner`)."""
    cameras = {str(each) for each in places.cameras()}
    devices = [each for each in probe.devices() if str(each.resolve()) not in cameras]
    lacking = {*restrict_spawner(local_clients=False), *restrict_camera(local_clients=False)}
    found = refusals.openings(refusals.of_camera(devices))
    layers = [each for each in ("seccomp", "landlock") if each not in lacking]
    return {"half": "camera", "cage": {"found_open": found, "layers": layers}}


def _in_a_process(half: str, port: int) -> dict[str, Any]:
    """Raises `OSError`, `subprocess.SubprocessError`, `ValueError`."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "agent.host.sandbox", half, "--json", "--port", str(port)],
        stdout=subprocess.PIPE,
        timeout=_TIMEOUT,
        check=False,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.exit(main())
