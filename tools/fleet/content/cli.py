"""Verb: content."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.fleet import settings
from tools.fleet.store import Store, open_store

EXAMPLE = """a catalogue, content.toml:

  timezone = "Europe/Berlin"      # whose midnights the days are; left out: UTC

  [[content]]
  slot = 3
  name = "The red chair"
  campaign = "spring"             # may be left out
  from = 2026-11-01               # first day; left out: since ever
  until = 2026-11-30              # last day; left out: from then on
"""


def add(verbs: Any) -> None:
    """Put the verb into `verbs`, an argparse subparsers action."""
    content = verbs.add_parser(
        "content",
        help="what the slots hold: catalogue, proof of play",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    acts = content.add_subparsers(dest="act", required=True, metavar="ACT")
    take = acts.add_parser("import", help="a catalogue, in place of the one before")
    take.add_argument("file", type=Path, metavar="FILE.toml")
    take.add_argument("--check", action="store_true", help="say what is wrong with it, no more")
    shown = acts.add_parser("list", help="the catalogue")
    played = acts.add_parser(
        "played", help="time on show, visits, attention, dwell and happiness of each content"
    )
    played.add_argument("--from", dest="since", metavar="DAY", help="2026-11-28 (UTC)")
    played.add_argument("--to", dest="until", metavar="DAY", help="to the end of this day")
    played.add_argument(
        "--device", action="append", default=[], metavar="ID", help="only this one; repeat"
    )
    played.add_argument("--by-day", action="store_true", help="a row for each content and day")
    played.add_argument("--timezone", default="UTC", metavar="ZONE", help="whose midnights; UTC")
    for each in (take, shown, played):
        each.add_argument("--fleet", type=Path, default=settings.FOLDER, metavar="FOLDER")
        each.add_argument("--json", action="store_true", help="for a program")
    content.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    url = settings.store_url(args.fleet, settings.load(args.fleet))
    if args.act == "played":
        _played(args, url)
        return
    if args.act == "import":
        from agent.desk.read.contents import load

        contents = load(args.file)
        if not args.check:
            from tools.fleet.content.catalogue import replace

            with open_store(url) as store:
                replace(store, contents)
        said = "right" if args.check else "in force"
        if args.json:
            print(json.dumps({"contents": len(contents), "imported": not args.check}))
        else:
            print(f"{args.file}: {len(contents)} contents, {said}.")
        return
    with open_store(url) as store:
        _list(args, store)


def _list(args: argparse.Namespace, store: Store) -> None:
    from agent.desk.read.contents import EVER, ON
    from tools.common.tables import columns, text
    from tools.fleet.content.catalogue import catalogue

    found = catalogue(store)
    if args.json:
        print(json.dumps([
            {"slot": each.slot, "name": each.name, "campaign": each.campaign,
             "from": each.start if each.start != EVER else None,
             "until": each.end if each.end != ON else None}
            for each in found
        ]))  # fmt: skip
        return
    names = ("content", "campaign", "from (UTC)", "until (UTC)")
    table = columns("slot", *names, words=names)
    for each in found:
        ends = ("" if at in (EVER, ON) else _minute(at) for at in (each.start, each.end))
        table.add_row(str(each.slot), each.name, each.campaign or "", *ends)
    print(text(table), end="")


def _minute(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def _played(args: argparse.Namespace, url: str) -> None:
    from tools.fleet.content import played
    from tools.fleet.export.select import instant

    since = None if args.since is None else instant(args.since)
    until = None if args.until is None else instant(args.until, end=True)
    open_store(url).close()  # brings the layout up to date; names a database that is away
    windows = played.windows(url, since, until, args.device)
    rows = played.rows(windows, args.by_day, args.timezone)
    print(json.dumps(rows) if args.json else played.text_of(rows, args.by_day).rstrip("\n"))
