"""`python -m tools.fleet.collector`: how many summaries a second one collector stores, from bytes
to commit, without a broker."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from tools.common.machine import machine
from tools.fleet.collector.collector import BATCH
from tools.fleet.collector.intake import Incoming
from tools.fleet.collector.writer import Writer
from tools.fleet.simulate.bodies import SummaryTemplates
from tools.fleet.store import open_store

_DEVICES = 1000
_BOOT = "0a1b2c3d"


def measure(url: str, rows: int, batch: int = BATCH) -> dict[str, object]:
    """`url`: of an empty database."""
    templates, at = SummaryTemplates(60, 0), 1_800_000_000
    waiting = [
        Incoming(
            f"fleeting/1/d/box-{each % _DEVICES}/summary",
            templates.make(each, _BOOT, each // _DEVICES, "ntp", at, 0, "0" * 8),
            at,
        )
        for each in range(rows)
    ]
    with open_store(url) as store:
        writer = Writer(store)
        wall, processor = time.perf_counter(), time.process_time()
        stored = sum(
            writer.write(waiting[first : first + batch]).stored["summary"]
            for first in range(0, rows, batch)
        )
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        kind = store.dialect
    return {
        "database": kind, "rows": stored, "batch": batch, "machine": machine(),
        "rows per second": round(stored / wall),
        "rows per processor second": round(stored / processor),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.fleet.collector", description=__doc__)
    parser.add_argument(
        "--url", default="", help="of an empty database; default: a new SQLite file"
    )
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=BATCH)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = args.url or f"sqlite:///{Path(folder) / 'fleet.db'}"
        print(json.dumps(measure(url, args.rows, args.batch)))


if __name__ == "__main__":
    main()
