"""One real half with a leak built in.

`python -m tools.robustness.leaks.half KIND HALF --config FILE`
"""

from __future__ import annotations

import sys
from typing import Any

from agent import cli
from agent.perceive import start
from tools.robustness.leaks.kinds import KINDS, Leak, replace


def main(argv: list[str]) -> int:
    """The half's own exit code. KIND: one of `kinds.KINDS`, or several joined by `+`."""
    kind, half, *rest = argv
    leaks = [KINDS[each][0]() for each in kind.split("+")]
    for leak in leaks:
        if half == "uplink":
            leak.in_uplink()
        else:
            leak.before_the_walls(rest[-1])
            _behind_the_walls(leak)
    return cli.main([half, *rest])


def _behind_the_walls(leak: Leak) -> None:
    """Perception is replaced where it is imported: after the process has sealed itself."""
    seal = vars(start)["seal_perceive"]  # perhaps another leak's already

    def then_leak(*args: Any, **options: Any) -> Any:
        found = seal(*args, **options)
        leak.in_perceive()
        return found

    replace(start, "seal_perceive", then_leak)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
