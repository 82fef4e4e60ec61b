"""What a genuine chain does not show by itself: a missing end, a copy's chain, a lost outbox."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from agent.base.report import LastReceipt, Meta, to_json
from agent.desk.receipt.verify import verify
from tests.desk.receipt.days import DAY, HOUR, Box, save
from tests.summaries import meta

Reports = pytest.CaptureFixture[str]


def told(box: Box, **changes: Any) -> bytes:
    """The device's meta message now."""
    last = {"key": box.book.public_key, "receipt": box.book.last(), **changes}
    return to_json(Meta.model_validate({**dict(meta()), **last}))


def week(folder: Path) -> Box:
    """From noon of 2027-01-15; the last receipt is signed at midnight after the 21st."""
    folder.mkdir(exist_ok=True)
    box = Box(folder)
    box.tick()
    for _ in range(7):
        box.release(2)
        box.pass_time(DAY, DAY / 2)
    return box


def check(box: Box, bodies: list[bytes], **more: Any) -> int:
    files = [save(box.folder / "receipts.jsonl", bodies)]
    defaults: dict[str, Any] = {"key": box.book.public_key, "summaries": [], "as_json": False}
    return verify(files, **{**defaults, **more})


@pytest.mark.parametrize(
    ("removed", "until", "missing"),
    [
        (0, "2027-01-21", None),
        (0, "2027-01-22T00:00", None),
        (0, "2027-01-15", None),
        (0, "2027-01-22", "2027-01-22"),
        (0, "2027-02-03", "2027-01-22 to 2027-02-03"),
        (1, "2027-01-21", "2027-01-21"),
        (3, "2027-01-21", "2027-01-19 to 2027-01-21"),
        (7, "2027-01-21", "2027-01-15 to 2027-01-21"),
        (7, "2027-01-14", None),
        (3, "9999-12-31", "2027-01-19 to 9999-12-31"),
    ],
)
def test_a_chain_that_does_not_reach_a_day_is_not_valid(
    tmp_path: Path, capsys: Reports, removed: int, until: str, missing: str | None
) -> None:
    box = week(tmp_path)
    bodies = box.written("receipt")
    assert len(bodies) == 8
    code = check(box, bodies[: len(bodies) - removed], until=until)
    output = capsys.readouterr().out
    assert code == (0 if missing is None else 1)
    assert ("NOT VALID" in output) == (missing is not None)
    if missing:
        assert f"Missing days: {missing}." in output


@pytest.mark.parametrize("until", ["", "yesterday", "2027-13-01", "2027-02-30", "1e9", "\x1b[2J"])
def test_a_day_that_is_none_is_a_problem(tmp_path: Path, capsys: Reports, until: str) -> None:
    box = week(tmp_path)
    assert check(box, box.written("receipt"), until=until) == 1
    output = capsys.readouterr().out
    assert "must be a day such as" in output
    assert "\x1b" not in output


def test_the_coverage_is_printed(tmp_path: Path, capsys: Reports) -> None:
    box = week(tmp_path)
    box.reboot(off=3 * DAY)
    box.pass_time(HOUR)
    bodies = box.written("receipt")
    assert check(box, bodies) == 0
    assert (
        "Coverage: 2027-01-15 to 2027-01-24 (UTC), 9 receipts; no gaps; days without a receipt of "
        "their own: 2027-01-22 to 2027-01-23." in capsys.readouterr().out
    )
    del bodies[2:4]
    assert check(box, bodies, as_json=True, until="2027-01-25") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["coverage"] == {
        "receipts": 7,
        "undated": 0,
        "first_day": "2027-01-15",
        "last_day": "2027-01-24",
        "missing_days": [["2027-01-16", "2027-01-17"]],
        "days_without_a_receipt_of_their_own": [["2027-01-22", "2027-01-23"]],
        "missing_until": [["2027-01-25", "2027-01-25"]],
    }


def test_receipts_without_a_date_cover_no_day(tmp_path: Path, capsys: Reports) -> None:
    box = Box(tmp_path, utc=None)
    box.pass_time(3 * DAY)
    bodies = box.written("receipt")
    assert check(box, bodies) == 0
    assert "none with a date" in capsys.readouterr().out
    assert check(box, bodies, until="2027-01-15") == 1


def test_meta_shows_that_the_end_is_missing(tmp_path: Path, capsys: Reports) -> None:
    box = week(tmp_path)
    bodies = box.written("receipt")
    live = [save(tmp_path / "meta.jsonl", [b"fleeting/1/d/kiosk-7/meta " + told(box)])]
    assert check(box, bodies, meta=live, key=None) == 0
    assert "which the given meta names" in capsys.readouterr().out
    assert check(box, bodies[:-1], meta=live) == 1
    assert "of these number 8 not given: deleted" in capsys.readouterr().out
    assert check(box, bodies[:-4], meta=live) == 1
    assert "of these numbers 5 to 8 not given" in capsys.readouterr().out


def test_an_older_meta_confirms_what_it_can(tmp_path: Path, capsys: Reports) -> None:
    box = Box(tmp_path)
    before = told(box)
    box.tick()
    first = told(box)
    box.pass_time(DAY, DAY / 2)
    for body, note in (
        (before, "was sent before any receipt was signed"),
        (first, "vouches for receipts up to number 1"),
    ):
        live = [save(tmp_path / "meta.jsonl", [body])]
        assert check(box, box.written("receipt"), meta=live) == 0
        assert note in capsys.readouterr().out


def test_a_copy_of_the_device_forks_and_is_found(tmp_path: Path, capsys: Reports) -> None:
    """Its chain alone is genuine."""
    box = week(tmp_path / "first")
    box.outbox.close()
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    copy = Box(tmp_path / "second", box.utc, box.monotonic)
    box.start()
    copy.seq = box.seq
    for each, number in ((box, 3), (copy, 5)):
        each.release(number)
        each.pass_time(DAY, DAY / 2)
    ours, theirs = box.written("receipt"), copy.written("receipt")
    assert ours[:8] == theirs[:8]
    assert box.book.public_key == copy.book.public_key

    assert check(copy, theirs) == 0
    assert "A copy of the device signs its own with the same key" in capsys.readouterr().out
    assert check(box, ours + theirs) == 1
    assert "the chain forks: number 9" in capsys.readouterr().out
    live = [save(tmp_path / "meta.jsonl", [told(box)])]
    assert check(box, ours, meta=live) == 0
    capsys.readouterr()
    assert check(copy, theirs, meta=live) == 1
    assert "one of the two is a copy's" in capsys.readouterr().out
    both = [save(tmp_path / "meta.jsonl", [told(box), told(copy)])]
    assert check(box, ours, meta=both) == 1


def test_meta_of_another_device_is_no_proof(tmp_path: Path, capsys: Reports) -> None:
    box = week(tmp_path)
    bodies = box.written("receipt")
    for changes, said in (
        ({"key": "ab" * 32}, "another key, abababab"),
        ({"key": None}, "another key, none"),
    ):
        live = [save(tmp_path / "meta.jsonl", [told(box, **changes)])]
        assert check(box, bodies, meta=live) == 1
        assert said in capsys.readouterr().out
    forged = LastReceipt(number=8, sha256="0" * 64)
    assert check(box, bodies, meta=[save(tmp_path / "m", [told(box, receipt=forged)])]) == 1
    empty = [save(tmp_path / "meta.jsonl", [])]
    assert check(box, bodies, meta=empty) == 1
    assert "No meta message was found" in capsys.readouterr().out
    assert check(box, bodies, meta=[save(tmp_path / "m", [b"{}", told(box)])]) == 1


@pytest.mark.parametrize(
    ("how", "reason"),
    [("remove", "removed or replaced"), ("damage", "damaged and begun anew"),
     ("forget", "the file beside the key was lost"), ("alter", "went missing or were changed")],
)  # fmt: skip
def test_a_break_is_neither_valid_nor_forged(
    tmp_path: Path, capsys: Reports, how: str, reason: str
) -> None:
    box = week(tmp_path)
    bodies = box.written("receipt")
    box.release(3)
    box.tick()
    if how == "alter":
        with box.outbox._database.transaction("alter") as database:
            database.execute("DELETE FROM ledger WHERE rowid = (SELECT MAX(rowid) FROM ledger)")
    box.outbox.close()
    if how == "remove":
        for file in tmp_path.glob("outbox.db*"):
            file.unlink()
    elif how == "damage":
        (tmp_path / "outbox.db").write_bytes(b"no database" * 1000)
    elif how == "forget":
        (tmp_path / "receipt.key.last").unlink()
    box.start()
    box.pass_time(DAY, DAY / 2)
    bodies = list(dict.fromkeys(bodies + box.written("receipt")))
    assert len(bodies) == 9
    assert check(box, bodies) == 2
    output = capsys.readouterr().out
    assert reason in output
    assert "All valid" not in output
    assert "NOT COMPLETE" in output
    assert check(box, bodies, as_json=True) == 2
    found = json.loads(capsys.readouterr().out)
    assert (found["valid"], found["verdict"]) == (False, "incomplete")
    assert [len(each["breaks"]) for each in found["receipts"]] == [0] * 8 + [1]
    assert check(box, bodies, until="2027-02-01") == 1  # worse than incomplete
