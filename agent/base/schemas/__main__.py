"""Write the schemas beside this file, or compare them with --check. Refuses an open schema."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agent.base.errors import AgentError
from agent.base.files import write_atomically
from agent.base.schemas.capacity import capacity
from agent.base.schemas.registry import INBOUND, build, in_use, text

HERE = Path(__file__).parent


def main(argv: list[str] | None = None) -> int:
    """Returns 1 where a schema is open or, with --check, a file differs from the models."""
    parser = argparse.ArgumentParser(prog="python -m agent.base.schemas", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    check = parser.parse_args(argv).check
    stale = []
    for name in (*in_use(True), *INBOUND):
        try:
            capacity(build(name))
        except AgentError as error:
            print(f"{name} is open: {error}. Bound it in agent/base/report.", file=sys.stderr)
            return 1
        path = HERE / f"{name}.json"
        if check and (not path.is_file() or path.read_text() != text(name)):
            stale.append(path.name)
        elif not check:
            write_atomically(path, text(name).encode())
        print(f"{name}: closed")
    if stale:
        print(
            f"Not up to date: {', '.join(stale)}. Run python -m agent.base.schemas.",
            file=sys.stderr,
        )
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
