"""`python -m agent.host.sandbox`: enter the sandbox of the perceive process, try it, and
print what holds as JSON. Then end: it cannot be left."""

from __future__ import annotations

import sys

from agent.base.report import to_json
from agent.host.sandbox.enter import enter_perceive


def main() -> int:
    """0 where no network can be reached and no file be written, else 1."""
    found = enter_perceive([])
    print(to_json(found).decode())
    return 0 if (found.network, found.writes) == ("closed", "confined") else 1


if __name__ == "__main__":
    sys.exit(main())
