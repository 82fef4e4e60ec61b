"""An outbox that was removed, replaced or altered shows in the next receipt, with its reason."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.base.report import Event, Receipt, to_json
from agent.wall.outbox import Outbox
from tests.desk.receipt.days import DAY, HOUR, Box
from tests.summaries import summary


@contextlib.contextmanager
def taken_over(box: Box) -> Iterator[sqlite3.Connection]:
    """The outbox in the hands of a taken-over perceive process."""
    with contextlib.closing(sqlite3.connect(box.config.store.outbox)) as database:
        yield database
        database.commit()


def remove(box: Box) -> None:
    box.outbox.close()
    for file in box.folder.glob("outbox.db*"):
        file.unlink()


def day(box: Box) -> Receipt:
    (receipt,) = box.pass_time(DAY, DAY / 2)
    return receipt


def state(box: Box) -> str:
    return day(box).statement.outbox


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """After three days, with releases seen since."""
    box = Box(tmp_path)
    box.tick()
    for _ in range(3):
        box.release(6)
        assert state(box) == "same"
    box.release(4)
    box.pass_time(HOUR)
    return box


@pytest.mark.parametrize("restarted", [False, True])
def test_a_removed_outbox(box: Box, restarted: bool) -> None:
    remove(box)
    if restarted:
        box.start()
    box.release(2)
    assert state(box) == "reset"
    codes = [Event.model_validate_json(body).code for body in box.written("event")]
    assert codes == ["outbox_altered"]
    assert state(box) == "same"  # once


def test_a_damaged_outbox_has_its_own_reason(box: Box) -> None:
    box.outbox.close()
    box.config.store.outbox.write_bytes(b"no database" * 1000)
    box.start()
    assert state(box) == "damaged"
    assert state(box) == "same"


LINES: dict[str, str] = {
    "last line": "DELETE FROM ledger WHERE rowid = (SELECT MAX(rowid) FROM ledger)",
    "a line": "DELETE FROM ledger WHERE rowid = (SELECT MAX(rowid) FROM ledger) - 2",
    "every line": "DELETE FROM ledger",
    "other hash": f"UPDATE ledger SET sha256 = '{'a' * 64}' WHERE rowid ="
    " (SELECT MAX(rowid) FROM ledger)",
    "less epsilon": "UPDATE ledger SET epsilon_milli = epsilon_milli + 10",
    "withheld": "UPDATE ledger SET withheld = 1, visits = 9",
    "order": "UPDATE ledger SET rowid = -rowid; UPDATE ledger SET rowid = 1000 + rowid",
    "the last in a receipt": "DELETE FROM ledger WHERE rowid ="
    " (SELECT value FROM counter WHERE name = 'receipt_upto')",
}


@pytest.mark.parametrize("how", LINES)
@pytest.mark.parametrize("restarted", [False, True])
def test_lines_that_went_missing_or_changed(box: Box, how: str, restarted: bool) -> None:
    if restarted:
        box.outbox.close()
    with taken_over(box) as database:
        database.executescript(LINES[how])
    if restarted:
        box.start()
    box.release(3)
    assert state(box) == "altered"
    assert state(box) == "same"


def test_the_files_own_count_of_what_was_receipted_is_not_taken(box: Box) -> None:
    with taken_over(box) as database:
        database.execute("UPDATE counter SET value = 1000000 WHERE name = 'receipt_upto'")
    receipt = day(box)
    assert (receipt.statement.outbox, receipt.statement.summaries) == ("same", 4)


def test_an_older_copy_of_the_outbox_that_is_put_back(box: Box, tmp_path: Path) -> None:
    box.outbox.close()
    shutil.copy(box.config.store.outbox, tmp_path / "copy")
    box.start()
    box.release(1)
    box.pass_time(HOUR)
    remove(box)
    shutil.copy(tmp_path / "copy", box.config.store.outbox)
    box.start()
    assert state(box) == "altered"


def test_another_outbox_under_the_identity_of_the_first(box: Box, tmp_path: Path) -> None:
    with taken_over(box) as database:
        identity = database.execute("SELECT * FROM counter WHERE name = 'identity'").fetchone()
    remove(box)
    box.start()
    box.seq = 0
    box.release(30)
    with taken_over(box) as database:
        database.execute("UPDATE counter SET value = ? WHERE name = 'identity'", identity[1:])
        database.execute("INSERT OR REPLACE INTO counter VALUES ('receipt_upto', 18)")
    assert state(box) == "altered"


def test_a_summary_that_was_sent_and_taken_out_of_the_ledger_before_anybody_looked(
    box: Box,
) -> None:
    box.release(1)
    row = box.outbox.peek(1000)[-1]
    with taken_over(box) as database:
        database.execute("DELETE FROM ledger WHERE rowid = (SELECT MAX(rowid) FROM ledger)")
    box.outbox.acknowledge(row.id)
    assert state(box) == "altered"


def test_a_receipt_that_was_not_signed_here_is_left_aside(box: Box) -> None:
    last = Receipt.model_validate_json(box.written("receipt")[-1])
    forged = last.statement.model_copy(update={"number": 60_000})
    body = to_json(Receipt(statement=forged, signature=last.signature))
    with taken_over(box) as database:
        database.execute("UPDATE latest SET body = ? WHERE kind = 'Receipt'", (body,))
    receipt = day(box)
    assert (receipt.statement.number, receipt.statement.outbox) == (5, "same")


def test_a_receipts_row_that_is_there_already_does_not_stop_it(box: Box) -> None:
    with taken_over(box) as database:
        database.execute(
            "INSERT INTO outbox (kind, boot, seq, body) VALUES ('receipt', ?, 5, x'00')",
            (box.book.public_key[:8],),
        )
    receipt = day(box)
    assert box.written("receipt")[-1] == to_json(receipt)


def test_honest_days_with_crashes_and_restarts_are_the_same_outbox(tmp_path: Path) -> None:
    box = Box(tmp_path)
    states = []
    box.tick()
    for number in range(8):
        box.release(number % 3)
        box.pass_time(HOUR)
        if number % 2:
            box.restart()
        box.release(1)
        if number % 3 == 0:
            box.reboot(off=600)
        states.append(state(box))
    assert states == ["same"] * 8


@pytest.mark.parametrize("number", [1, 3])
def test_a_receipt_stored_but_not_remembered(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power fails between the two; and meanwhile the ledger may be altered."""
    for altered in (False, True):
        box = Box(tmp_path / f"{altered}")
        box.release(5)
        box.pass_time(1, 1) if number == 1 else [day(box) for _ in range(number - 1)]
        if number > 1:
            box.release(3)
            with monkeypatch.context() as cut:
                cut.setattr("agent.uplink.receipt.book._write_checkpoint", lambda *_: None)
                day(box)
        if altered:
            with taken_over(box) as database:
                database.execute("DELETE FROM ledger WHERE rowid = (SELECT MAX(rowid) FROM ledger)")
        box.restart()
        box.release(2)
        assert state(box) == ("altered" if altered else "same")


def test_an_outbox_opened_by_both_processes_has_one_identity(tmp_path: Path) -> None:
    box = Box(tmp_path)
    with Outbox(box.config.store) as perceive:
        perceive.add(summary(0))
        first = perceive.ledger.receipt_basis().outbox
    assert box.outbox.ledger.receipt_basis().outbox == first != "0" * 16
