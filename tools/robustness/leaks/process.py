"""One real process with a leak built in.

`python -m tools.robustness.leaks.process KIND perceive|uplink --config FILE`
"""

from __future__ import annotations

import sys
from typing import Any

from agent import cli
from agent.perceive import start
from tools.robustness.leaks.kinds import Leak, replace
from tools.robustness.leaks.registry import KINDS


def main(argv: list[str]) -> int:
    """The process's own exit code. KIND: one of `kinds.KINDS`, or several joined by `+`."""
    kind, name, *rest = argv
    leaks = [KINDS[each][0]() for each in kind.split("+")]
    for leak in leaks:
        if name == "uplink":
            leak.in_uplink()
        else:
            leak.before_sandbox(rest[-1])
            _after_sandbox(leak)
    return cli.main([name, *rest])


def _after_sandbox(leak: Leak) -> None:
    """Perception is replaced where it is imported: after the process has entered its sandbox."""
    enter = vars(start)["enter_perceive"]  # perhaps another leak's already

    def then_leak(*args: Any, **options: Any) -> Any:
        found = enter(*args, **options)
        leak.in_perceive()
        return found

    replace(start, "enter_perceive", then_leak)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
