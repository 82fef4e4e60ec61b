"""Verbs: ca, broker, device, operator, serve, watch."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from tools.common.errors import ToolError
from tools.common.mosquitto import program
from tools.fleet.broker import certificates, folder


def _run(args: argparse.Namespace) -> None:
    if args.verb == "ca":
        made = folder.make_authorities(args.folder, args.days)
        print(
            f"{made}: three authorities. Whoever has a .key of them can make devices: lock it up."
        )
    elif args.verb == "device":
        made = folder.add_device(
            args.folder,
            args.id,
            host=args.host,
            port=args.port,
            days=args.days,
            installed=args.installed,
        )
        print((made / "mqtt.toml").read_text(encoding="utf-8"), end="")
        print(
            f"fleet: {made} is made. Copy it to the device and put these lines into its "
            "configuration; the paths must be those on the device.",
            file=sys.stderr,
        )
    elif args.verb == "operator":
        made = folder.add_operator(args.folder, args.name, args.days)
        print(f"{made}: operator.pem and operator.key open port {folder.OPERATOR_PORT}.")
    elif args.verb == "broker":
        made = folder.make_broker(
            args.folder,
            args.host or (),
            bind=args.bind,
            port=args.port,
            operator_port=args.operator_port,
            bootstrap_port=args.bootstrap_port,
            days=args.days,
        )
        print(f"{made}: start it with fleeting-fleet serve {args.folder}")
    elif args.verb == "serve":
        serve(args.folder)
    else:
        from tools.fleet.broker.watch import watch

        watch(args.folder, args.operator, args.host, args.port, args.device)


def serve(place: Path) -> None:
    """Become the broker, in the foreground. Raises `ToolError`."""
    settings = place / "broker" / "mosquitto.conf"
    if not settings.is_file():
        raise ToolError(f"{settings} is not there. Make it: fleeting-fleet broker {place}.")
    broker = program()
    sys.stdout.flush()
    os.execv(broker, [broker, "-c", str(settings)])


def add(verbs: Any) -> None:
    """Put the verbs into `verbs`, an argparse subparsers action."""
    ca = verbs.add_parser("ca", help="make the authorities that sign everything else")
    ca.add_argument("folder", type=Path, metavar="FOLDER")
    _days(ca, certificates.AUTHORITY_DAYS)

    device = verbs.add_parser("device", help="a certificate for one device, and its settings")
    device.add_argument("id", metavar="ID", help="letters, digits, - and _; its MQTT name")
    device.add_argument("folder", type=Path, metavar="FOLDER")
    device.add_argument("--host", default="localhost", help="the broker, as the device reaches it")
    device.add_argument("--port", type=int, default=folder.DEVICE_PORT)
    device.add_argument(
        "--installed", type=Path, metavar="PATH", help="where its files will lie on the device"
    )
    _days(device, certificates.DEVICE_DAYS)

    operator = verbs.add_parser(
        "operator", help="a certificate for fleet, enrolment, homeassistant, reader"
    )
    operator.add_argument(
        "name", metavar="NAME", help="fleet, enrolment, homeassistant, reader, reader-NAME"
    )
    operator.add_argument("folder", type=Path, metavar="FOLDER")
    _days(operator, certificates.DEVICE_DAYS)

    broker = verbs.add_parser("broker", help="a Mosquitto configuration that starts as it is")
    broker.add_argument("folder", type=Path, metavar="FOLDER")
    broker.add_argument(
        "--host", action="append", metavar="NAME", help="name or address it is reached by; repeat"
    )
    broker.add_argument("--bind", default="", metavar="ADDRESS", help="listen there only")
    broker.add_argument("--port", type=int, default=folder.DEVICE_PORT, help="of the devices")
    broker.add_argument("--operator-port", type=int, default=folder.OPERATOR_PORT)
    broker.add_argument("--bootstrap-port", type=int, default=folder.BOOTSTRAP_PORT)
    _days(broker, certificates.DEVICE_DAYS)

    start = verbs.add_parser("serve", help="start that Mosquitto in the foreground")
    start.add_argument("folder", type=Path, metavar="FOLDER")

    look = verbs.add_parser("watch", help="print every message of the fleet, examined, one a line")
    look.add_argument("folder", type=Path, metavar="FOLDER")
    look.add_argument("--operator", default="reader", metavar="NAME", help="default: reader")
    look.add_argument("--host", default="localhost")
    look.add_argument("--port", type=int, default=folder.OPERATOR_PORT)
    look.add_argument("--device", default="+", metavar="ID", help="only this one")
    for verb in (ca, device, operator, broker, start, look):
        verb.set_defaults(run=_run)


def _days(parser: argparse.ArgumentParser, default: int) -> None:
    parser.add_argument(
        "--days", type=_positive, default=default, help=f"of validity; default: {default}"
    )


def _positive(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 36_500:
        raise argparse.ArgumentTypeError("must be 1 to 36500")
    return value
