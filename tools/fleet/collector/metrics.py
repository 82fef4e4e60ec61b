"""What a collector says of itself to Prometheus, and whether it is well.

Names after prometheus.io/docs/practices/naming; `/metrics` and `/health` (200, or 503 with why).
"""

from __future__ import annotations

import http.server
import threading
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from tools.common.errors import ToolError
from tools.fleet.collector.intake import Incoming
from tools.fleet.collector.source import Inbox
from tools.fleet.collector.writer import Outcome

_STUCK = 120.0
"""Seconds that a batch may take before the collector is not well."""


class Metrics:
    """Counters of one collector, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._received = self._counter("received", "Messages received from the broker.")
        self._dropped = self._counter("dropped", "Health messages that found no room.")
        self._stored = self._counter("stored", "Messages stored, by kind.", "kind")
        self._duplicates = self._counter("duplicates", "Equal copies of stored messages.")
        self._quarantined = self._counter("quarantined", "Refused messages.", "reason")
        self._batches = self._counter("batches", "Transactions committed.")
        self._found = self._counter("numbers_missed", "Sequence numbers found missing.")
        self._filled = self._counter("numbers_filled", "Missing numbers that came later.")
        self._commit = Histogram(
            "fleeting_collector_commit_seconds", "Time to store a batch.", registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
        )  # fmt: skip
        self._unacknowledged = self._gauge("unacknowledged", "Messages received and not stored.")
        self._age = self._gauge("oldest_unacknowledged_seconds", "Age of the oldest of them.")
        self._database = self._gauge("database_up", "Whether the last attempt to store succeeded.")
        self._broker = self._gauge("broker_up", "Whether the broker is connected.")
        self._gaps = self._gauge("gaps_open", "Ranges of missing sequence numbers.")
        self._missing = self._gauge("numbers_missing", "Sequence numbers missing now.")
        self._counted = [0, 0]
        self._in_hand: list[Incoming] = []
        self._begun: float | None = None
        self._up = {"database": False, "broker": False}

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"fleeting_collector_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"fleeting_collector_{name}", text, registry=self.registry)

    def begin(self, batch: list[Incoming], inbox: Inbox) -> None:
        """A batch is to be stored."""
        self._in_hand, self._begun = batch, time.monotonic()
        self._unacknowledged.set_function(lambda: len(self._in_hand) + len(inbox))

    def stored(self, outcome: Outcome, seconds: float) -> None:
        """A batch is on disk."""
        for kind, number in outcome.stored.items():
            self._stored.labels(kind).inc(number)
        for reason, number in outcome.refused.items():
            self._quarantined.labels(reason).inc(number)
        self._duplicates.inc(outcome.duplicates)
        self._found.inc(outcome.found)
        self._filled.inc(outcome.filled)
        self._batches.inc()
        self._commit.observe(seconds)

    def end(self) -> None:
        """There is no batch in hand any more."""
        self._in_hand, self._begun = [], None

    def waiting(self, inbox: Inbox) -> None:
        """How the connection is doing."""
        for index, (counter, now) in enumerate(
            ((self._received, inbox.received), (self._dropped, inbox.dropped))
        ):
            counter.inc(now - self._counted[index])
            self._counted[index] = now
        self._up["broker"] = inbox.connected
        self._broker.set(inbox.connected)
        oldest = inbox.oldest()
        self._age.set(0 if oldest is None else max(0.0, time.time() - oldest))

    def database_up(self, up: bool) -> None:
        """After each attempt to use it."""
        self._up["database"] = up
        self._database.set(up)
        if self._in_hand:
            self._age.set(max(0.0, time.time() - self._in_hand[0].received))

    def gaps(self, ranges: int, numbers: int) -> None:
        """What the whole fleet misses."""
        self._gaps.set(ranges)
        self._missing.set(numbers)

    def trouble(self) -> str:
        """Why the collector is not well; empty: it is."""
        away = [name for name, up in self._up.items() if not up]
        if away:
            return f"away: {', '.join(away)}"
        begun = self._begun
        stuck = begun is not None and time.monotonic() - begun > _STUCK
        return "a batch is not stored" if stuck else ""


def serve(metrics: Metrics, address: str) -> http.server.ThreadingHTTPServer:
    """Answer on HOST:PORT, in a thread. Raises `ToolError`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(metrics.registry))
            elif self.path == "/health":
                trouble = metrics.trouble()
                text = f"{trouble or 'ok'}\n".encode()
                self._answer(503 if trouble else 200, "text/plain; charset=utf-8", text)
            else:
                self.send_error(404)

        def _answer(self, code: int, kind: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: a scrape is no news."""

    host, _, port = address.rpartition(":")
    try:
        server = http.server.ThreadingHTTPServer(
            (host.strip("[]") or "127.0.0.1", int(port)), Handler
        )
    except (OSError, ValueError, OverflowError) as error:
        raise ToolError(
            f"Metrics cannot be served on {address!r}: {error}. Give a free HOST:PORT."
        ) from None
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
