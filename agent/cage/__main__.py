"""`python -m agent.cage`: build the walls of the half that sees around this process, try them, and
print what holds as JSON. Then end: they cannot be taken down."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from agent.cage import seal_perceive


def main() -> int:
    """0 where no network can be reached and no file be written, else 1."""
    found = seal_perceive([])
    print(json.dumps(asdict(found)))
    return 0 if found.network_closed and found.writes_confined else 1


if __name__ == "__main__":
    sys.exit(main())
