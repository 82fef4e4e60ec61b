"""`python -m agent.host.sandbox`: enter the sandbox of the perceive process, probe it, print the
result as JSON and exit."""

from __future__ import annotations

import sys

from agent.base.report import to_json
from agent.host.sandbox.enter import enter_perceive


def main() -> int:
    """Returns 0 where neither a network can be reached nor a file written, else 1."""
    found = enter_perceive([])
    print(to_json(found).decode())
    return 0 if (found.network, found.writes) == ("closed", "confined") else 1


if __name__ == "__main__":
    sys.exit(main())
