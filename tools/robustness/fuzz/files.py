"""Fuzzing of the outbox file: what a taken-over perceive process may leave to the uplink.

Bits, bytes, words, pages and the length of the file and its journal are changed, and statements run
on it; it is then opened and used in a process of its own. Right is only a `StoreError` or a file
moved aside: no crash, no endless loop, no summary that was never released.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import random
import signal
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

from agent.base.clock import FILE_CLOCK
from agent.base.config import StoreConfig
from agent.base.errors import StoreError
from agent.base.report import Summary, Vitals, to_json
from agent.base.settings_file import parse
from agent.privacy.noise import discrete_laplace
from agent.privacy.policy.rules import Policy, resolve
from agent.privacy.release import PendingRelease, ReleaseContext, release
from agent.privacy.window import ExactCounts, Window
from agent.wall.outbox import Outbox

_ROWS = 40
_BATCH = 50
"""Files per process."""
_PATIENCE = 120
"""Seconds for one process."""
_STATEMENTS = (
    "CREATE TRIGGER t AFTER INSERT ON ledger BEGIN DELETE FROM ledger; END",
    "CREATE TRIGGER t BEFORE DELETE ON outbox BEGIN SELECT RAISE(IGNORE); END",
    "DROP TABLE spoken; CREATE VIEW spoken AS WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL"
    " SELECT i + 1 FROM n) SELECT i AS code, i AS pending, i AS said FROM n",
    "DROP TABLE counter; CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL"
    " CHECK (length(randomblob(1000)) > 0))",
    "CREATE TABLE more (body BLOB)", "CREATE INDEX i ON outbox (hex(body))",
    "CREATE VIRTUAL TABLE f USING fts5(body)", "ALTER TABLE ledger ADD COLUMN who TEXT",
    "ALTER TABLE latest ADD COLUMN g AS (hex(body))", "DROP INDEX outbox_created",
    "UPDATE outbox SET body = 2000000000", "UPDATE outbox SET body = 'text' WHERE seq % 3 = 0",
    "UPDATE outbox SET body = randomblob(30000)", "UPDATE outbox SET body = zeroblob(900000)",
    "UPDATE ledger SET sha256 = 'x'", "UPDATE ledger SET seq = seq + 100000000",
    "UPDATE ledger SET visits = 'many'", "DELETE FROM ledger WHERE seq % 2 = 0",
    "UPDATE counter SET value = 9223372036854775807", "UPDATE counter SET value = 'a'",
    "UPDATE sqlite_sequence SET seq = 9223372036854775807", "DELETE FROM sqlite_sequence",
    "UPDATE spoken SET said = 'x', pending = -5", "UPDATE latest SET body = 1e300",
    "UPDATE outbox SET kind = x'ff00', boot = 7",
    "UPDATE outbox SET id = id + 4611686018427387904",
    "PRAGMA user_version = 1", "PRAGMA auto_vacuum = FULL; VACUUM",
    "PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM",
    "PRAGMA journal_mode = DELETE; PRAGMA page_size = 65536; VACUUM", "ANALYZE",
    "PRAGMA encoding = 'UTF-16'; VACUUM", "PRAGMA writable_schema = ON; UPDATE sqlite_master SET"
    " sql = sql || ' '", "PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage = 3",
    "PRAGMA writable_schema = ON; DELETE FROM sqlite_master WHERE name = 'ledger'",
)  # fmt: skip


def example(seq: int) -> Summary:
    """A summary of a window without visitors."""
    policy = _policy()
    window = Window(seq % 1000, 10, {0: ExactCounts()}, frames=300, last=9.9, seconds=10)
    pending = PendingRelease()
    pending.add_window(window, 0, policy, discrete_laplace)
    context = ReleaseContext("0a1b2c3d", seq, "0" * 16, FILE_CLOCK, micro_enabled=True)
    return release(pending, window, 0, policy, context, discrete_laplace)


@functools.cache
def _policy() -> Policy:
    return resolve(parse({"privacy": {"policy": "demo"}}, "fuzz"))


def run(rounds: int, seed: int) -> dict[str, Any]:
    """The report; `problems` is empty where all held."""
    report: dict[str, Any] = {"files": rounds, "aside": 0, "errors": 0, "longest": 0.0}
    report["problems"] = []
    # Not the disk is tested here, so memory will do.
    fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=fast) as name:
        for start in range(0, rounds, _BATCH):
            many = min(_BATCH, rounds - start)
            found = _in_a_process(Path(name), many, f"{seed}/{start}")
            report["problems"] += found["problems"]
            report["longest"] = max(report["longest"], found["longest"])
            for key in ("aside", "errors"):
                report[key] += found[key]
    return report


def _in_a_process(folder: Path, rounds: int, seed: str) -> dict[str, Any]:
    """As `_rounds`; a process that dies or hangs is a problem."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(_PATIENCE)  # its default action ends the process
        logging.disable(logging.CRITICAL)
        try:
            os.write(writer, json.dumps(_rounds(folder, rounds, seed)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        told = file.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code or not told:
        what = f"files {seed}: the process ended with code {code}, 14 of a signal: it hung"
        return {"aside": 0, "errors": 0, "longest": 0.0, "problems": [what]}
    found: dict[str, Any] = json.loads(told)
    return found


def _rounds(folder: Path, rounds: int, seed: str) -> dict[str, Any]:
    draw = random.Random(seed)
    found: dict[str, Any] = {"aside": 0, "errors": 0, "longest": 0.0, "problems": []}
    path = folder / "good.db"
    path.unlink(missing_ok=True)
    summaries = [example(seq) for seq in range(_ROWS + 1)]
    good = {to_json(each) for each in summaries}
    with Outbox(StoreConfig(outbox=path)) as outbox:
        for each in summaries[:-1]:
            outbox.add(each)
        outbox.events.record("paused")
    whole = path.read_bytes()
    with Outbox(StoreConfig(outbox=path)) as outbox:
        outbox.add(summaries[-1])
        journal = Path(f"{path}-wal").read_bytes()
    target = folder / "outbox.db"
    for number in range(rounds):
        for old in folder.glob("outbox.db*"):
            old.unlink()
        how = _tamper(target, whole, journal, draw)
        began = time.monotonic()
        try:
            _use(target, good, found)
        except Exception as error:
            what = f"files {seed}, number {number}, {how}: {type(error).__name__}: {error}"
            found["problems"].append(what[:300])
        found["longest"] = max(found["longest"], time.monotonic() - began)
    return found


def _tamper(path: Path, whole: bytes, journal: bytes, draw: random.Random) -> str:
    """Write a tampered outbox; returns how in words."""
    kind = draw.randrange(4)
    path.write_bytes(mutated(whole, draw) if kind < 2 else whole)
    if kind == 2:
        Path(f"{path}-wal").write_bytes(mutated(journal, draw))
        return "a changed journal"
    if kind < 2:
        return "a changed file"
    statement = draw.choice(_STATEMENTS)
    with (
        contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database,
        contextlib.suppress(sqlite3.Error),
    ):
        database.executescript(statement)
    return statement


def _use(path: Path, good: set[bytes], found: dict[str, Any]) -> None:
    """Everything that either process does. Raises what is wrong."""
    try:
        with Outbox(StoreConfig(outbox=path)) as outbox:
            for _ in range(2):
                rows = outbox.peek(100)
                if not {row.body for row in rows if row.kind == "summary"} <= good:
                    raise ValueError("a summary that was never released")
                with contextlib.suppress(StoreError):
                    outbox.add(example(outbox.next_seq).model_copy(update={"boot": outbox.boot}))
                    good.add(outbox.peek(1000)[-1].body)
                    outbox.events.record("resumed")
                    outbox.events.flush()
                    outbox.latest.put(Vitals(perception="running", fps=30))
                    outbox.latest.get(Vitals)
                    outbox.ledger.receipt_basis()
                    outbox.ledger.meter(1, 1)
                    outbox.acknowledge(*(row.id for row in rows[:2]))
            found["aside"] += outbox.moved_aside is not None
    except StoreError:
        found["errors"] += 1


def mutated(data: bytes, draw: random.Random) -> bytes:
    """Some bits, bytes, words, pages or the end of a file, changed."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 5, 50))):
        at = draw.randrange(len(changed) if draw.random() < 0.7 else min(len(changed), 200))
        how = draw.randrange(5)
        if how == 0:
            changed[at] ^= 1 << draw.randrange(8)
        elif how == 1:
            changed[at] = draw.choice((0, 255, 127, 128, draw.randrange(256)))
        elif how == 2:
            changed[at : at + 8] = draw.randbytes(8)
        elif how == 3 and len(changed) >= 4096:
            here, there = (4096 * draw.randrange(len(changed) // 4096) for _ in range(2))
            changed[here : here + 4096] = changed[there : there + 4096]
        else:
            del changed[max(at, 200) :]
    return bytes(changed)
