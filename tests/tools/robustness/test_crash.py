"""The crash test itself: it passes on the agent, and fails wherever something is wrong."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from agent.base.config import StoreConfig
from agent.base.report import to_json
from agent.wall.outbox import Outbox
from tests.summaries import summary
from tools.common.errors import ToolError
from tools.common.mosquitto import installed
from tools.robustness.__main__ import main
from tools.robustness.crash import every_write
from tools.robustness.crash import run as crash
from tools.robustness.crash.check import Key, Stored, aside, digest, judge, key_of, read
from tools.robustness.crash.writer import SCRIPT, write

COUNT = 4
BODIES = [to_json(summary(seq)) for seq in range(COUNT)]
KEYS = [key_of(body) for body in BODIES]


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    """Four summaries released; the broker has taken the first two."""
    path = tmp_path / "outbox.db"
    with Outbox(StoreConfig(outbox=path)) as made:
        for seq in range(COUNT):
            made.add(summary(seq))
        made.acknowledge(*(row.id for row in made.peek(2)))
    return path


def taken() -> dict[Key, tuple[str, ...]]:
    """What the reader then has; the first came twice."""
    return {KEYS[0]: (digest(BODIES[0]),) * 2, KEYS[1]: (digest(BODIES[1]),)}


def change(path: Path, statement: str, *values: object) -> None:
    database = sqlite3.connect(path)
    assert database.execute(statement, values).rowcount == 1, "the doctor missed"
    database.commit()
    database.close()


def test_nothing_is_wrong_with_an_agent_that_works(outbox: Path) -> None:
    stored = read(outbox)
    assert [key for key, _ in stored.ledger] == KEYS
    assert [key for key, _ in stored.waiting] == KEYS[2:]
    verdict = judge(stored, taken())
    assert (verdict.violations, verdict.missing, verdict.differing) == ((), frozenset(), 0)
    assert not aside(outbox)


@pytest.mark.parametrize(
    ("statement", "values", "word"),
    [
        ("DELETE FROM ledger WHERE seq = 3", (), "not in the ledger"),
        ("DELETE FROM ledger WHERE seq = 0", (), "not in the ledger"),
        ("DELETE FROM ledger WHERE seq = 0", (), "a gap"),
        ("UPDATE outbox SET body = ? WHERE seq = 2", (BODIES[2] + b" ",), "other bytes"),
        ("UPDATE ledger SET sha256 = ? WHERE seq = 1", ("0" * 64,), "arrived 1 times with other"),
        ("UPDATE ledger SET seq = 9 WHERE seq = 3", (), "a gap"),
        ("INSERT INTO counter VALUES ('trimmed', 1)", (), "dropped"),
    ],
)
def test_a_doctored_outbox_is_found(
    outbox: Path, statement: str, values: tuple[object, ...], word: str
) -> None:
    change(outbox, statement, *values)
    assert any(word in each for each in judge(read(outbox), taken()).violations)


def test_a_lost_summary_is_missing(outbox: Path) -> None:
    arrived = taken()
    del arrived[KEYS[1]]
    verdict = judge(read(outbox), arrived)
    assert verdict.missing == {KEYS[1]}
    change(outbox, "DELETE FROM outbox WHERE seq = 3")  # gone, and nobody has it
    assert judge(read(outbox), arrived).missing == {KEYS[1], KEYS[3]}


def test_other_bytes_and_strangers_are_found(outbox: Path) -> None:
    arrived = {**taken(), KEYS[1]: (digest(BODIES[1]), "f" * 64)}
    verdict = judge(read(outbox), arrived)
    assert verdict.differing == 1
    assert any("other bytes" in each for each in verdict.violations)
    arrived = {**taken(), ("ffffffff", 0): ("f" * 64,)}
    assert any("not in the ledger" in each for each in judge(read(outbox), arrived).violations)


def test_a_ledger_that_forgets_is_found(outbox: Path) -> None:
    before = read(outbox)
    change(outbox, "DELETE FROM ledger WHERE seq = 3")
    change(outbox, "DELETE FROM outbox WHERE seq = 3")
    after = read(outbox)
    assert not judge(after, taken()).violations, "nothing in this moment alone betrays it"
    assert any("lost or changed" in each for each in judge(after, taken(), before).violations)


def test_a_file_that_is_none_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_bytes(b"x" * 5000)
    with pytest.raises(ToolError, match="cannot be read"):
        read(tmp_path / "outbox.db")
    with pytest.raises(ValueError, match="no summary"):
        key_of(b"{}")


@pytest.mark.slow
@pytest.mark.skipif(installed() is None, reason="mosquitto is not installed")
def test_six_crashes_end_to_end_and_then_a_loss(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All is well after the crashes; then the reader forgets one summary, which must be noticed."""
    monkeypatch.setattr(crash, "_LIVES", 1.5)  # short lives: a short test
    monkeypatch.setattr(crash, "_QUICKEST", 2.0)
    drain = crash._Campaign.drain
    before: list[dict[str, Any]] = []

    def then_forget(campaign: crash._Campaign) -> Stored:
        stored = drain(campaign)
        before.append({**campaign.counts(stored), "violations": list(campaign.tally.violations)})
        campaign.reader._copies.popitem()
        monkeypatch.setattr(crash, "_ARRIVAL", 0.1)
        campaign.look()
        return stored

    monkeypatch.setattr(crash._Campaign, "drain", then_forget)
    keep = tmp_path / "kept"
    code = main(["crash", "--cycles", "6", "--seed", "3", "--keep", str(keep), "--json"])
    words = capsys.readouterr().out
    report = json.loads(words.splitlines()[-1])
    [good] = before
    assert good["violations"] == []
    assert good["released"] == good["arrived"] > 0
    assert good["lost"] == good["differing"] == 0
    assert report["cycles"] == 6 == sum(report["kills"].values())
    kills = [json.loads(each)["stopped"] for each in (keep / "kills.jsonl").open()]
    assert len([each for each in kills if each != "broker"]) == 6
    copies = [json.loads(each)["body"] for each in (keep / "received.jsonl").open()]
    assert len({key_of(each.encode()) for each in copies}) == good["arrived"]
    assert code == 1
    assert (report["lost"], report["arrived"]) == (1, good["arrived"] - 1)
    assert all(each in words for each in ("FAILED", "1 lost"))
    assert json.loads((keep / "report.json").read_text()) == report
    assert read(keep / "outbox" / "outbox.db").verdict == "ok"
    assert main(["crash", "--keep", str(keep)]) == 1, "evidence is not mixed with older"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_kill_at_every_write_leaves_a_sound_outbox(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = ("pwrite64", "fdatasync", "fsync", "ftruncate", "unlink")
    whole = every_write.run
    monkeypatch.setattr(every_write, "run", lambda progress: whole(progress, calls))
    assert main(["crash", "--every-write", "--json"]) == 0
    words = capsys.readouterr().out
    report = json.loads(words.splitlines()[-1])
    assert report["violations"] == []
    assert report["calls"]["pwrite64"] > 20, "two summaries and an acknowledgement"
    assert report["calls"]["fdatasync"] > 3
    assert "passed" in words


@pytest.mark.parametrize("died", range(1, 2 * len(SCRIPT) + 1))
def test_the_examination_after_a_kill_fails_on_what_is_wrong(tmp_path: Path, died: int) -> None:
    """A file whose ledger lacks a line is found, whatever step the writer had reached."""
    path, diary = tmp_path / "outbox.db", tmp_path / "diary"
    with diary.open("wb") as note:
        write(path, [summary(0), summary(1)], note.fileno())
    steps = tuple(diary.read_text().splitlines())
    assert steps == tuple(f"{when} {step}" for step in SCRIPT for when in ("begun", "done"))
    good = tmp_path / "good.db"
    shutil.copy(path, good)
    assert not every_write.examine(good, steps)
    change(path, "DELETE FROM ledger WHERE seq = 1")
    assert every_write.examine(path, steps[:died])


def test_without_strace_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ToolError, match="strace is not installed"):
        every_write.run()
