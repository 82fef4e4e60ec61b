"""Verbs: bootstrap, enrolments, approve, refuse, revoke, certificates."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from tools.common.errors import ToolError
from tools.fleet import settings
from tools.fleet.broker import certificates, folder

_DAY = 86_400


def add(verbs: Any) -> None:
    """Put the verbs into `verbs`, an argparse subparsers action."""
    bootstrap = verbs.add_parser(
        "bootstrap", help="bundles with which devices ask for their certificate, once"
    )
    bootstrap.add_argument("ids", nargs="+", metavar="ID", help="letters, digits, - and _")
    bootstrap.add_argument("--hours", type=_hours, default=certificates.BOOTSTRAP_HOURS)
    bootstrap.add_argument("--host", default="localhost", help="the broker, as devices reach it")
    bootstrap.add_argument("--port", type=int, default=folder.DEVICE_PORT)
    bootstrap.add_argument("--bootstrap-port", type=int, default=folder.BOOTSTRAP_PORT)
    bootstrap.add_argument(
        "--readmit", action="store_true", help="also a device whose certificates were revoked"
    )

    enrolments = verbs.add_parser("enrolments", help="devices that wait for their certificate")
    enrolments.add_argument("--all", action="store_true", help="also those that were decided")
    enrolments.add_argument(
        "--serve", action="store_true",
        help="take requests in and hand certificates out, where no controller runs",
    )  # fmt: skip

    approve = verbs.add_parser("approve", help="give a device its certificate")
    approve.add_argument("id", nargs="?", metavar="ID")
    approve.add_argument("--fingerprint", metavar="DIGITS", help="as the device shows it")
    approve.add_argument(
        "--all-matching", type=Path, metavar="FILE",
        help="all that wait with the fingerprint given there: lines `ID FINGERPRINT`; -: stdin",
    )  # fmt: skip
    approve.add_argument("--days", type=_days, default=certificates.ENROLLED_DAYS)

    refuse = verbs.add_parser("refuse", help="refuse a device its certificate")
    refuse.add_argument("id", metavar="ID")
    refuse.add_argument("--fingerprint", metavar="DIGITS", help="this key only")

    revoke = verbs.add_parser("revoke", help="revoke a device's certificates")
    revoke.add_argument("id", metavar="ID")
    revoke.add_argument(
        "--reason", default="key_compromise",
        choices=("unspecified", "key_compromise", "superseded", "cessation"),
    )  # fmt: skip

    ends = verbs.add_parser("certificates", help="every certificate and when it ends")
    ends.add_argument("--within", type=_days, metavar="DAYS", help="only those that end by then")

    for verb, run in (
        (bootstrap, _bootstrap), (enrolments, _enrolments), (approve, _approve),
        (refuse, _refuse), (revoke, _revoke), (ends, _certificates),
    ):  # fmt: skip
        verb.add_argument("--fleet", type=Path, default=settings.FOLDER, metavar="FOLDER")
        verb.add_argument("--json", action="store_true")
        verb.set_defaults(run=run)


def _store(args: argparse.Namespace) -> Any:
    from tools.fleet.store import open_store

    return open_store(settings.store_url(args.fleet, settings.load(args.fleet)))


def _bootstrap(args: argparse.Namespace) -> None:
    from tools.fleet.enrolment import records
    from tools.fleet.enrolment.authority import make_bundle
    from tools.fleet.enrolment.decide import now

    for name in args.ids:
        certificates.check_device(name)
    if len(set(args.ids)) != len(args.ids):
        raise ToolError("The same ID stands there twice. Nothing was made.")
    with _store(args) as store:
        gone = [each for each in args.ids if records.revoked_at(store, each) is not None]
    if gone and not args.readmit:
        raise ToolError(
            f"The certificates of {', '.join(gone)} are revoked. To let it in again, with a new "
            "key: --readmit."
        )
    made = [
        make_bundle(
            args.fleet, name, host=args.host, port=args.port, enrol_port=args.bootstrap_port,
            hours=args.hours, now=now(),
        )
        for name in args.ids
    ]  # fmt: skip
    if args.json:
        print(json.dumps([str(path) for path in made]))
        return
    for path in made:
        print(path)
    print(
        f"fleet: for {args.hours:g} hours, good for one key each. Copy it to the device, mode "
        "0600, and run there: fleeting enrol FILE. Then here: fleeting-fleet enrolments",
        file=sys.stderr,
    )


def _enrolments(args: argparse.Namespace) -> None:
    from tools.fleet.enrolment import records

    with _store(args) as store:
        if args.serve:
            return _serve(args, store)
        rows = records.undecided(store)
        if args.all:
            rows = store.execute("SELECT * FROM enrolments ORDER BY received, device, csr_sha256")
    if args.json:
        kept = ("device", "fingerprint", "kind", "state", "reason", "received", "decided_at",
                "answered_at", "serial", "not_after")  # fmt: skip
        print(json.dumps([{key: row[key] for key in kept} for row in rows]))
        return None
    if not rows:
        print("nothing waits")
        return None
    for row in rows:
        asks = "its first certificate" if row["kind"] == "bootstrap" else "the next certificate"
        state = row["state"] + (f" ({row['reason']})" if row["reason"] else "")
        print(f"{row['device']:<24} {_age(time.time() - row['received']):>6} ago  {asks}  {state}")
        print(f"    {row['fingerprint']}")
    return None


def _serve(args: argparse.Namespace, store: Any) -> None:
    import signal
    import threading

    from tools.fleet.enrolment.intake import Intake
    from tools.fleet.enrolment.serve import Service

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    service = Service(
        store, args.fleet, settings.load(args.fleet), Intake(store, args.fleet),
        lambda line: print(line, flush=True),
    )  # fmt: skip
    service.run(stop.is_set)


def _approve(args: argparse.Namespace) -> int:
    from tools.fleet.enrolment import decide

    if (args.id is None) == (args.all_matching is None):
        raise ToolError("Name one device, or give a list with --all-matching FILE.")
    bad: list[str] = []
    with _store(args) as store:
        if args.id is not None:
            wanted = [(certificates.check_device(args.id), args.fingerprint)]
        else:
            wanted, bad = decide.matching(store, _lines(args.all_matching))
        rows = []
        for name, digits in wanted:
            try:
                rows.append(
                    decide.approve(store, args.fleet, name, digits, args.days, decide.now())
                )
            except ToolError as error:
                bad.append(str(error))
    for problem in bad:
        print(f"fleet: {problem}", file=sys.stderr)
    if args.json:
        kept = ("device", "fingerprint", "serial", "not_after")
        print(json.dumps([{key: row[key] for key in kept} for row in rows]))
    else:
        for row in rows:
            print(f"{row['device']}: approved, valid until {_day(row['not_after'])}")
            print(f"    {row['fingerprint']}")
    return 1 if bad else 0


def _refuse(args: argparse.Namespace) -> None:
    from tools.fleet.enrolment import decide

    with _store(args) as store:
        rows = decide.refuse(
            store, certificates.check_device(args.id), args.fingerprint, decide.now()
        )
    if args.json:
        print(json.dumps([{key: row[key] for key in ("device", "fingerprint")} for row in rows]))
        return
    for row in rows:
        print(f"{row['device']}: refused\n    {row['fingerprint']}")


def _revoke(args: argparse.Namespace) -> None:
    from tools.fleet.enrolment import decide

    with _store(args) as store:
        done = decide.revoke(store, args.fleet, args.id, args.reason, decide.now())
    serials = [f"{each:x}" for each in done.serials]
    if args.json:
        files = [str(path) for path in done.written]
        print(json.dumps({"device": args.id, "serials": serials, "written": files}))
        return
    print(f"{args.id}: {len(serials)} certificates revoked: {', '.join(serials) or 'none held'}")
    for path in done.written:
        print(f"    written: {path}")
    print(
        "fleet: a broker elsewhere needs these lists too. `systemctl reload mosquitto` (SIGHUP) "
        "lets it read them: the device cannot connect any more. A connection that it may have now "
        "ends when Mosquitto is started again.",
        file=sys.stderr,
    )


def _certificates(args: argparse.Namespace) -> None:
    from tools.fleet.enrolment.listing import listing

    with _store(args) as store:
        found = listing(store, args.fleet)
    if args.within is not None:
        found = [each for each in found if each.end <= time.time() + args.within * _DAY]
    if args.json:
        print(json.dumps([each.as_dict() for each in found]))
        return
    for each in found:
        left = (each.end - time.time()) / _DAY
        note = "revoked" if each.revoked else "over" if left <= 0 else f"{left:.0f} days"
        print(f"{_day(each.end)}  {note:>10}  {each.what:<10} {each.name:<24} {each.serial:x}")


def _lines(path: Path) -> list[str]:
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ToolError(f"{path} cannot be read: {error}.") from None
    return text.splitlines()


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _age(seconds: float) -> str:
    for size, unit in ((_DAY, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _days(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 3650:
        raise argparse.ArgumentTypeError("must be 1 to 3650")
    return value


def _hours(text: str) -> float:
    value = float(text)
    if not 0.01 <= value <= 24 * 30:
        raise argparse.ArgumentTypeError("must be 0.01 to 720")
    return value
