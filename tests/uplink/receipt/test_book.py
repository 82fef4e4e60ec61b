"""Content and chaining of receipts, and power failures."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.base.errors import ConfigError, StoreError
from agent.base.report import Receipt, to_json
from agent.base.schemas.registry import joint_hash
from agent.uplink.receipt import book as book_module
from agent.uplink.receipt.book import ZEROS, ReceiptBook, units_hash
from agent.uplink.receipt.continuity import digest
from agent.wall.outbox import Outbox
from tests.desk.receipt.days import DAY, HOUR, Box, lines
from tests.fakes import full_disk
from tests.summaries import MODEL, POLICY, birth


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def check_chain(receipts: list[Receipt], key: str) -> None:
    """By the definition in `Statement`, independent of the verifier."""
    before = ZEROS
    for number, receipt in enumerate(receipts, 1):
        statement = receipt.statement
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(
            bytes.fromhex(receipt.signature), to_json(statement)
        )
        assert (statement.number, statement.previous, statement.key) == (number, before, key)
        before = sha256(to_json(receipt))


def stored(box: Box) -> list[Receipt]:
    return [Receipt.model_validate_json(body) for body in box.written("receipt")]


def test_a_receipt_states_the_day(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.outbox.latest.put(birth())
    (first,) = box.tick()
    done = box.release(3, visits=4) + box.release(2, visits=-7)
    box.outbox.ledger.meter(7, 700)
    row = box.outbox.peek(1)[0]
    box.outbox.acknowledge(row.id)
    (second,) = box.pass_time(12 * HOUR)
    statement = second.statement
    assert (statement.number, statement.start, statement.end) == (2, first.statement.end, box.utc)
    assert statement.summaries == 5
    joint = hashlib.sha256()
    for body in lines(done):
        joint.update(hashlib.sha256(body).digest())
    assert statement.digest == joint.hexdigest()
    assert (statement.messages, statement.bytes) == (8, 700 + len(row.body))
    assert (statement.windows_withheld, statement.visits_withheld) == (5, 0)  # 3 * 4 - 2 * 7 < 0
    assert statement.epsilon_milli == 0
    assert (statement.model, statement.policy) == (MODEL, POLICY.hash)
    assert (statement.schemas, statement.key) == (joint_hash(), box.book.public_key)
    check_chain([first, second], box.book.public_key)


def test_withheld_visits_are_rounded_to_tens(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.tick()
    box.release(4, visits=14)
    (receipt,) = box.pass_time(12 * HOUR)
    assert receipt.statement.visits_withheld == 60


def test_withheld_visits_that_noise_alone_could_make_are_not_said(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.tick()
    box.release(4, visits=10)  # three deviations of four windows are 42 visits
    (receipt,) = box.pass_time(12 * HOUR)
    assert (receipt.statement.windows_withheld, receipt.statement.visits_withheld) == (4, 0)


def test_a_receipt_before_the_perceive_process_ever_ran(tmp_path: Path) -> None:
    (receipt,) = Box(tmp_path).tick()
    assert (receipt.statement.model, receipt.statement.policy) == (None, None)
    assert receipt.statement.digest == hashlib.sha256().hexdigest()


def test_every_release_stands_in_one_receipt(tmp_path: Path) -> None:
    box, rng = Box(tmp_path), random.Random(5)
    done: list[bytes] = []
    box.tick()
    for _ in range(12):
        done += lines(box.release(rng.randrange(4)))
        box.pass_time(rng.uniform(0, 2 * DAY), 6 * HOUR)
        if rng.random() < 0.3:
            box.restart()
    box.pass_time(2 * DAY)
    receipts = stored(box)
    check_chain(receipts, box.book.public_key)
    for receipt in receipts:
        of_day, done = done[: receipt.statement.summaries], done[receipt.statement.summaries :]
        assert receipt.statement.digest == digest(map(sha256, of_day))
    assert done == []


def test_an_older_box_with_a_long_ledger(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.release(50)
    (first,) = box.tick()
    assert first.statement.summaries == 50


def test_a_lost_key_begins_a_new_chain(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.tick()
    (tmp_path / "receipt.key").unlink()
    box.restart()
    assert box.tick() == []  # today's is signed
    (receipt,) = box.pass_time(12 * HOUR)
    assert (receipt.statement.number, receipt.statement.previous) == (1, ZEROS)
    assert receipt.statement.key == box.book.public_key


def test_a_damaged_key_stops_nothing_but_the_receipts(tmp_path: Path) -> None:
    box = Box(tmp_path)
    (tmp_path / "receipt.key").write_bytes(b"")
    with pytest.raises(ConfigError, match="damaged"):
        ReceiptBook(box.config, box.outbox)


def test_a_damaged_outbox_does_not_break_the_chain(tmp_path: Path) -> None:
    box = Box(tmp_path)
    receipts = box.tick() + box.pass_time(2 * DAY)
    box.outbox.close()
    (tmp_path / "outbox.db").write_bytes(b"not a database" * 1000)
    box.start()
    assert box.outbox.moved_aside is not None
    assert box.tick() == []
    receipts += box.pass_time(2 * DAY)
    check_chain(receipts, box.book.public_key)
    states = [each.statement.outbox for each in receipts]
    assert states == ["new", "same", "same", "damaged", "same"]


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 9000, b'{"receipt": 1}', b"\xff", b"null"])
def test_a_damaged_checkpoint_is_replaced(tmp_path: Path, content: bytes) -> None:
    box = Box(tmp_path)
    receipts = box.tick()
    (tmp_path / "receipt.key.last").write_bytes(content)
    box.restart()
    assert box.tick() == []
    receipts += box.pass_time(DAY)
    check_chain(receipts, box.book.public_key)
    assert [each.statement.outbox for each in receipts] == ["new", "new"]  # nothing is remembered


def test_a_checkpoint_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    box = Box(tmp_path)
    (tmp_path / "receipt.key.last").mkdir()
    receipts = box.tick() + box.pass_time(3 * DAY)
    check_chain(receipts, box.book.public_key)
    assert len(receipts) == 4


def failing(name: str) -> Callable[..., None]:
    def fail(*_: Any) -> None:
        raise KeyboardInterrupt(name)  # not caught anywhere, as a power failure

    return fail


def test_power_fails_before_the_receipt_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Box(tmp_path)
    box.tick()
    box.release(3)
    with monkeypatch.context() as cut:
        cut.setattr("agent.wall.outbox._ledger.meter", failing("within the transaction"))
        with pytest.raises(KeyboardInterrupt):
            box.pass_time(12 * HOUR)
    assert len(stored(box)) == 1
    box.restart()
    (receipt,) = box.tick()
    assert receipt.statement.summaries == 3
    check_chain(stored(box), box.book.public_key)


def test_power_fails_after_the_receipt_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Box(tmp_path)
    (first,) = box.tick()
    box.release(3)
    write = book_module._write_checkpoint

    def cut_at_the_mark(path: Path, checkpoint: Any) -> None:
        if checkpoint.receipt != to_json(first):
            raise KeyboardInterrupt("before the mark")
        write(path, checkpoint)

    with monkeypatch.context() as cut:
        cut.setattr(book_module, "_write_checkpoint", cut_at_the_mark)
        with pytest.raises(KeyboardInterrupt):
            box.pass_time(12 * HOUR)
    box.restart()
    assert box.tick() == []
    (receipt,) = box.pass_time(DAY)
    assert (receipt.statement.number, receipt.statement.summaries) == (3, 0)
    assert receipt.statement.outbox == "same"
    check_chain(stored(box), box.book.public_key)


def test_a_full_disk_is_an_error_that_may_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Box(tmp_path)
    with monkeypatch.context() as cut:
        cut.setattr("agent.wall.outbox._ledger.insert_message", full_disk)
        with pytest.raises(StoreError, match="No space left"):
            box.tick()
    assert len(box.tick()) == 1


@pytest.mark.slow
def test_a_signing_process_killed_at_any_instant_leaves_a_whole_chain(tmp_path: Path) -> None:
    rng = random.Random(11)
    box = Box(tmp_path)
    box.outbox.close()
    for cycle in range(6):
        child = os.fork()
        if not child:
            try:  # signs days until it is killed
                each = Box(tmp_path, monotonic=1000.0 + 1e7 * cycle)
                last = each.outbox.ledger.receipt_basis().previous
                end = last and Receipt.model_validate_json(last).statement.end
                each.utc, each.seq = float(end or 0) or each.utc, each.outbox.next_seq
                while True:
                    each.release(1)
                    each.pass_time(DAY, DAY)
            finally:
                os._exit(1)
        time.sleep(rng.uniform(0.05, 0.15))
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
    box.start()
    receipts = stored(box)
    assert len(receipts) > 1
    check_chain(receipts, box.book.public_key)
    summaries = [sha256(body) for body in box.written("summary")]
    for receipt in receipts:
        number = receipt.statement.summaries
        of_day, summaries = summaries[:number], summaries[number:]
        assert receipt.statement.digest == digest(of_day)
    assert len(summaries) <= 2


def test_the_units_in_force_are_hashed_with_what_was_changed_on_site(tmp_path: Path) -> None:
    assert units_hash([tmp_path]) is None
    unit = tmp_path / "fleeting-uplink.service"
    unit.write_text("[Service]\nPrivateDevices=yes\n")
    seen = {units_hash([tmp_path])}
    (tmp_path / "fleeting.target").write_text("[Unit]\n")
    seen.add(units_hash([tmp_path]))
    (tmp_path / "other.service").write_text("[Service]\n")
    assert units_hash([tmp_path]) in seen
    changed = tmp_path / "fleeting-uplink.service.d" / "override.conf"
    changed.parent.mkdir()
    changed.write_text("[Service]\nPrivateDevices=no\n")
    seen.add(units_hash([tmp_path]))
    changed.write_text("[Service]\nPrivateDevices=yes\n")
    seen.add(units_hash([tmp_path]))
    assert len(seen) == 4
    assert units_hash([tmp_path]) == units_hash([tmp_path])
    assert all(each is not None and len(each) == 16 for each in seen)


def test_the_book_needs_no_memory_that_is_written_and_run(tmp_path: Path) -> None:
    """Signing works where the kernel refuses such memory (prctl(2), PR_SET_MDWE)."""
    import ctypes

    child = os.fork()
    if not child:
        code = 1
        try:
            refused = ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0
            box = Box(tmp_path)
            code = 2 if refused else 0 if len(box.tick()) == 1 else 1
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 2:
        pytest.skip("this kernel knows no PR_SET_MDWE")
    assert code == 0
    with Outbox(Box(tmp_path).config.store) as outbox:
        assert outbox.ledger.receipt_basis().previous is not None
