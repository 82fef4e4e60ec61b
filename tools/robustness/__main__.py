"""`python -m tools.robustness SUBCOMMAND`: a booted systemd, cameras that fail, clocks that lie,
crashes, disks in trouble, floods, hostile messages, heat, leaks made on purpose, power cuts,
updates that are killed."""

from __future__ import annotations

from tools.common import command
from tools.robustness.booted import cli as booted
from tools.robustness.camera import cli as camera
from tools.robustness.clock import cli as clock
from tools.robustness.crash import cli as crash
from tools.robustness.disk import cli as disk
from tools.robustness.flood import cli as flood
from tools.robustness.fuzz import cli as fuzz
from tools.robustness.heat import cli as heat
from tools.robustness.leaks import cli as leaks
from tools.robustness.power import cli as power
from tools.robustness.update import cli as update

SUBCOMMANDS: dict[str, command.Subcommand] = {
    "booted": booted,
    "camera": camera,
    "clock": clock,
    "crash": crash,
    "disk": disk,
    "flood": flood,
    "fuzz": fuzz,
    "heat": heat,
    "leaks": leaks,
    "power": power,
    "update": update,
}


def main(argv: list[str] | None = None) -> int:
    """Try it, print, perhaps store. Returns the exit code."""
    return command.main("tools.robustness", __doc__, SUBCOMMANDS, argv)


if __name__ == "__main__":
    raise SystemExit(main())
