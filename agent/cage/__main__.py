"""`python -m agent.cage`: build the walls of the half that sees around this process, try them, and
print what holds as JSON. Then end: they cannot be taken down."""

from __future__ import annotations

import sys

from agent.cage import seal_perceive
from agent.report import to_json


def main() -> int:
    """0 where no network can be reached and no file be written, else 1."""
    found = seal_perceive([])
    print(to_json(found).decode())
    return 0 if (found.network, found.writes) == ("closed", "confined") else 1


if __name__ == "__main__":
    sys.exit(main())
