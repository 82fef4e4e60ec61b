"""`python -m tools.docs build`: the documentation as a site, in `runs/docs/site`, checked."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agent.base.errors import AgentError
from tools.docs import check
from tools.docs.build import build
from tools.docs.messages import catalogue


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 1 where a link is broken, or a page would load something from
    elsewhere."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    made = verbs.add_parser("build", help="make the site and check it")
    made.add_argument("--out", type=Path, metavar="FOLDER", help="in place of runs/docs")
    verbs.add_parser("check", help="the links of all Markdown files, without making the site")
    message = verbs.add_parser("message", help="where the site explains a line of a log")
    message.add_argument("line")
    args = parser.parse_args(argv)
    try:
        if args.verb == "message":
            return _explain(args.line)
        site = build(args.out) if args.verb == "build" else None
    except AgentError as error:
        print(f"docs: {error}", file=sys.stderr)
        return error.exit_code
    found = check.problems(site) if site else list(check.forge())
    print("".join(f"{each}\n" for each in found), end="")
    if site:
        count = len(list(site.rglob("*.html")))
        print(f"{count} pages in {site}; {len(found)} problems")
    return 1 if found else 0


def _explain(line: str) -> int:
    found = catalogue.find(line)
    for each in found[:3]:
        print(f"messages.html#{each.anchor}\n  {each.what.replace(chr(0), '')}")
        print(f"  {each.remedy.replace(chr(0), '') or each.room.otherwise}")
    if not found:
        print("No message of this version is in that line.")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
