"""Verbs: export, receipts."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tools.fleet import settings
from tools.fleet.store import Store, open_store

KINDS = ("summaries", "slots", "events", "health", "devices", "jobs", "receipts")
_MAX_LISTED = 10
"""Problems of a device that are printed; --json has all."""


def add(verbs: Any) -> None:
    """Put the verbs into `verbs`, an argparse subparsers action."""
    export = verbs.add_parser("export", help="what was collected, as CSV or Parquet")
    export.add_argument("kind", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    export.add_argument("--out", type=Path, metavar="FILE", help="default: KIND.FORMAT here")
    export.add_argument("--format", choices=("csv", "parquet"), default="csv")
    export.add_argument("--from", dest="since", metavar="DAY", help="2026-11-28, or …T12:00 (UTC)")
    export.add_argument("--to", dest="until", metavar="DAY", help="to the end of this day")
    _devices(export)
    export.add_argument("--group", metavar="NAME", help="only devices of this group")
    export.add_argument(
        "--columns", action="store_true", help="print columns with units and meaning instead"
    )
    export.add_argument("--json", action="store_true", help="print what was written as JSON")
    export.set_defaults(run=_export)

    receipts = verbs.add_parser(
        "receipts", help="the daily signed receipts of all devices against what was stored"
    )
    receipts.add_argument("action", choices=("verify",), help="signatures, chain, summaries")
    _devices(receipts)
    receipts.add_argument("--since", metavar="DAY", help="only receipts that came from then on")
    receipts.add_argument("--until", metavar="DAY", help="each chain must reach this day's end")
    receipts.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    receipts.set_defaults(run=_receipts)
    for verb in (export, receipts):
        verb.add_argument("--fleet", type=Path, default=settings.FOLDER, metavar="FOLDER")


def _devices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device", action="append", default=[], metavar="ID", help="only this one; repeat"
    )


def _open(folder: Path) -> Store:
    return open_store(settings.store_url(folder, settings.load(folder)))


def _export(args: argparse.Namespace) -> None:
    from tools.common.progress import bar
    from tools.fleet.export import columns, select, write

    kind = columns.KINDS[args.kind]
    if args.columns:
        print(_described(kind), end="")
        return
    selection = select.Selection(
        None if args.since is None else select.instant(args.since),
        None if args.until is None else select.instant(args.until, end=True),
        tuple(args.device),
    )
    path = args.out or Path(f"{args.kind}.{args.format}")
    write.check_target(path)
    with _open(args.fleet) as store:
        select.refuse_unknown(store, selection.devices)
        if args.group is not None:
            among = select.members(store, args.group, selection.devices)
            selection = replace(selection, devices=among)
        total = select.count(store, kind, selection)
        with bar(f"export {args.kind}", total or None) as tell:
            batches = select.rows(store, kind, selection)
            number = write.write(
                path, args.format, kind, batches, lambda done: tell(min(done, total), "rows")
            )
    if args.json:
        print(json.dumps({"file": str(path), "kind": args.kind, "rows": number}))
    else:
        print(f"{path}: {number} rows.")


def _described(kind: Any) -> str:
    from tools.common.tables import columns, text

    table = columns(
        "column", "type", "unit", "noise", "what", words=("type", "unit", "noise", "what")
    )
    for each in kind.columns:
        factor = f" x {each.factor:g}" if each.factor != 1 else ""
        table.add_row(each.name, each.type, each.unit, each.noise + factor, each.about)
    return text(table)


def _receipts(args: argparse.Namespace) -> int:
    from tools.common.progress import along
    from tools.fleet.export import receipts, select

    since = None if args.since is None else select.instant(args.since)
    if args.until is not None:
        select.instant(args.until)
    chosen = select.Selection(devices=tuple(args.device))
    with _open(args.fleet) as store:
        known = receipts.known_devices(store)
        if missing := set(chosen.devices) - set(known):
            select.refuse_unknown(store, sorted(missing))
        found = [
            receipts.verify(store, device, since, args.until)
            for device in along(list(dict.fromkeys(chosen.devices)) or known, "receipts")
        ]
    code = receipts.verdict_of(found)
    if args.json:
        document = {
            "verdict": {0: "valid", 1: "invalid", 2: "incomplete"}[code],
            "devices": [each.document() for each in found],
        }
        print(json.dumps(document, indent=2))
    else:
        _print(found)
    sys.stdout.flush()
    return code


def _print(found: list[Any]) -> None:
    from tools.common.tables import columns, text

    names = ("key", "from", "to", "verdict")
    table = columns("device", "receipts", "summaries", *names, words=names)
    lines: list[str] = []
    for each in found:
        examined = each.examined
        cover = None if examined is None else examined.coverage
        word = {"valid": "valid", "invalid": "NOT VALID", "incomplete": "break"}[each.verdict]
        table.add_row(
            each.device,
            str(len(examined.entries) if examined else 0),
            str(each.summaries),
            each.key[:8] if each.key else "",
            *(("", "") if cover is None else _days(cover)),
            word if examined or each.problems else "none yet",
        )
        if each.verdict != "valid":
            lines += _problems(each)
    print(text(table), end="")
    for line in lines:
        print(line)
    wrong = sum(each.verdict == "invalid" for each in found)
    broken = sum(each.verdict == "incomplete" for each in found)
    print(f"{len(found)} devices: {wrong} not valid, {broken} with a break in their chain.")


def _days(cover: Any) -> tuple[str, str]:
    from agent.desk.receipt.examine import day

    return day(cover.first), day(cover.last)


def _problems(each: Any) -> list[str]:
    told = [*each.problems, *each.conflicts]
    if each.examined is not None:
        told += each.examined.problems
        told += [
            f"{entry.where}: {what}."
            for entry in each.examined.entries
            for what in (*entry.problems, *entry.breaks)
        ]
    more = len(told) - _MAX_LISTED
    lines = [line if line.startswith(each.device) else f"{each.device}: {line}" for line in told]
    return lines[:_MAX_LISTED] + ([f"{each.device}: {more} more; see --json."] if more > 0 else [])
