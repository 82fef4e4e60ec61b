"""Verbs: collect, retire."""

from __future__ import annotations

import argparse
import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.fleet import settings

if TYPE_CHECKING:
    from tools.fleet.collector.collector import Collector
    from tools.fleet.collector.source import Source


def add(verbs: Any) -> None:
    """Put the verbs into `verbs`, an argparse subparsers action."""
    collect = verbs.add_parser("collect", help="store what devices say, each message once")
    retire = verbs.add_parser("retire", help="end a collector for good: store what waits for it")
    for verb, run in ((collect, _collect), (retire, _retire)):
        verb.add_argument("--fleet", type=Path, default=settings.FOLDER, metavar="FOLDER")
        verb.add_argument(
            "--name", default="1", metavar="NAME", help="its certificate is reader-NAME; default: 1"
        )
        verb.add_argument(
            "--batch", type=_number(1, 5000), default=500, help="most messages in a transaction"
        )
        verb.add_argument(
            "--in-flight", type=_number(1, 65_535), default=1000, metavar="N",
            help="messages that may wait here for the database; default: 1000",
        )  # fmt: skip
        verb.set_defaults(run=run)
    collect.add_argument(
        "--metrics", default="", metavar="HOST:PORT",
        help="serve /metrics (Prometheus) and /health there, such as 127.0.0.1:9464",
    )  # fmt: skip


def _collect(args: argparse.Namespace) -> None:
    from tools.fleet.collector.alone import alone
    from tools.fleet.collector.metrics import Metrics, serve

    metrics = Metrics()
    collector = _collector(args, metrics)
    with alone(args.fleet, f"reader-{args.name}"):
        server = serve(metrics, args.metrics) if args.metrics else None
        try:
            collector.run()
        finally:
            if server is not None:
                server.shutdown()


def _retire(args: argparse.Namespace) -> int:
    from tools.fleet.collector.alone import alone
    from tools.fleet.collector.metrics import Metrics

    collector = _collector(args, Metrics())
    with alone(args.fleet, f"reader-{args.name}"):
        stored = collector.retire()
    if collector.stopped:
        print(f"reader-{args.name} was interrupted: its session stays. Run retire again.")
        return 1
    print(f"reader-{args.name} is retired; {stored} messages had waited for it and are stored.")
    return 0


def _collector(args: argparse.Namespace, metrics: Any) -> Collector:
    from tools.fleet.collector.collector import Collector
    from tools.fleet.store import Store

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # we say it ourselves, in one line
    chosen = settings.load(args.fleet)
    store = Store(settings.store_url(args.fleet, chosen))
    collector = Collector(_source(args, chosen.broker), store, metrics, batch=args.batch)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: collector.stop())
    return collector


def _source(args: argparse.Namespace, broker: settings.BrokerSettings) -> Source:
    from tools.fleet.broker.certificates import check_operator

    name = check_operator(f"reader-{args.name}")
    place = args.fleet / "operators" / name
    if broker.kind == "amqp":
        from tools.fleet.collector.amqp import AmqpSource

        return AmqpSource(broker, name, place, args.in_flight)
    from tools.fleet.collector.mqtt import MqttSource

    return MqttSource(broker, name, place, args.in_flight)


def _number(least: int, most: int) -> Any:
    def parse(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be {least} to {most}")
        return value

    return parse
