"""A torn last page: what a disk leaves of a write that the power cut ended.

The write-ahead log is cut, zeroed or filled with other bytes from any place in what was written
after the last commit; the database is torn in a page that the log still holds, as in the middle of
a checkpoint. Opened by the agent, all that was committed is there.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

from agent.privacy.policy.rules import resolve
from agent.wall.outbox import Outbox
from tools.robustness.crash.check import aside, read
from tools.robustness.power.writers import configuration, summary, utc

_COMMITS = 4
"""So few that their pages stay in the log. After 32 of them it is copied into the database, and no
power cut tears it before that."""
_PAGE = 4096
_FRAME = 24
"""Bytes of a frame's head, and 32 of the log's (sqlite.org/fileformat2.html, 4.1)."""
_HEAD = 32
_PLACES = 24
"""Places torn in each way, in each file."""


def run(folder: Path, places: int = _PLACES, seed: int = 1) -> tuple[dict[str, Any], list[str]]:
    """A row of the report, and what is wrong."""
    chance, made, found, cases = random.Random(seed), folder / "made", list[str](), 0
    sizes = _make(made)
    for way in ("cut", "zeros", "garbage"):
        for committed in range(1, _COMMITS + 1):
            begin, end = sizes[committed - 1], sizes[committed]
            for _ in range(max(1, places // _COMMITS)):
                at = chance.randrange(begin, end)
                copy = _copy(made, folder / "torn")
                log = copy / "outbox" / "outbox.db-wal"
                data = log.read_bytes()[:end]
                log.write_bytes(_tear(data, at, way, chance))
                cases += 1
                found += [f"log, {way} at {at}: {e}" for e in _look(copy, committed - 1)]
    pages = _logged(made)
    for way in ("zeros", "garbage"):
        for _ in range(places):
            copy = _copy(made, folder / "torn")
            database = copy / "outbox" / "outbox.db"
            data, at = database.read_bytes(), _PAGE * (chance.choice(pages) - 1)
            if at >= len(data):
                continue
            begin = at + chance.randrange(0, _PAGE)
            page = _tear(data[: at + _PAGE], begin, way, chance)
            database.write_bytes(page + data[at + _PAGE :])
            cases += 1
            found += [f"database, {way} at {begin}: {e}" for e in _look(copy, _COMMITS)]
    row = {"process": "outbox", "trouble": "torn last page", "cases": cases, "named": 0,
           "wrong": len(found)}  # fmt: skip
    return row, found


def _make(folder: Path) -> list[int]:
    """An outbox whose log holds `_COMMITS` transactions; the log's size before and after each."""
    (folder / "outbox").mkdir(parents=True)
    config = configuration(folder)
    policy, log = resolve(config), config.store.outbox.with_name("outbox.db-wal")
    with Outbox(config.store, utc=utc) as outbox:
        sizes = [log.stat().st_size]
        for number in range(_COMMITS):
            outbox.add(summary(outbox.boot, number, number, policy))
            sizes.append(log.stat().st_size)
        _copy(folder, folder.with_name("held"))
    shutil.rmtree(folder)  # closing has emptied the log
    folder.with_name("held").rename(folder)
    return sizes


def _logged(folder: Path) -> list[int]:
    """Numbers of the pages that the log holds."""
    data = (folder / "outbox" / "outbox.db-wal").read_bytes()
    frames = range(_HEAD, len(data), _FRAME + _PAGE)
    return sorted({int.from_bytes(data[at : at + 4], "big") for at in frames})


def _copy(folder: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*-shm"))
    return to


def _tear(data: bytes, at: int, way: str, chance: random.Random) -> bytes:
    if way == "cut":
        return data[:at]
    rest = len(data) - at
    return data[:at] + (bytes(rest) if way == "zeros" else chance.randbytes(rest))


def _look(folder: Path, least: int) -> list[str]:
    """What is wrong, where at least the first `least` summaries must be there."""
    config = configuration(folder)
    with Outbox(config.store, utc=utc):
        pass
    stored, path = read(config.store.outbox), config.store.outbox
    listed, waiting = dict(stored.ledger), dict(stored.waiting)
    found = [f"{each} was moved aside" for each in aside(path)]
    if stored.verdict != "ok":
        found.append(stored.verdict)
    if listed != waiting or sorted(key[1] for key in listed) != list(range(len(listed))):
        found.append("ledger and records differ")
    if len(listed) < least:
        found.append(f"{least} were committed and {len(listed)} are there")
    return found
