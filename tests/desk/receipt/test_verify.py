"""`fleeting receipt verify` detects missing, added and altered messages."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agent.base.report import Receipt, Statement, to_json
from agent.desk.receipt.verify import verify
from tests.desk.receipt.days import DAY, Box, lines, save
from tests.summaries import summary


class Reader:
    """A subscriber with ten days of messages of one device."""

    def __init__(self, folder: Path, days: int = 10, a_day: int = 6) -> None:
        box = Box(folder)
        box.tick()
        for _ in range(days):
            box.release(a_day)
            box.pass_time(DAY, DAY / 2)
        self.folder, self.box = folder, box
        self.key = box.book.public_key
        self.receipts = box.written("receipt")
        self.summaries = box.written("summary")
        self.last = self.receipts[-1]

    def verify(self, key: str | None = None, summaries: bool = False) -> int:
        receipts = save(self.folder / "receipts.jsonl", self.receipts)
        received = save(self.folder / "summaries.jsonl", self.summaries) if summaries else None
        return verify([receipts], key=key, summaries=[received] if received else [], as_json=False)

    def sign(self, **changes: Any) -> bytes:
        """The last receipt with a changed statement, signed with the device's key."""
        last = Receipt.model_validate_json(self.last)
        statement = Statement.model_validate({**last.statement.model_dump(), **changes})
        signature = self.box.book._key.sign(to_json(statement)).hex()
        return to_json(Receipt(statement=statement, signature=signature))


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[bytes], list[bytes], Reader]:
    reader = Reader(tmp_path_factory.mktemp("box"))
    return list(reader.receipts), list(reader.summaries), reader


@pytest.fixture
def reader(sent: tuple[list[bytes], list[bytes], Reader]) -> Reader:
    receipts, summaries, reader = sent
    reader.receipts, reader.summaries = list(receipts), list(summaries)
    return reader


def test_a_complete_chain_is_valid(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(reader.receipts) == 11
    assert reader.verify(reader.key.upper(), summaries=True) == 0
    output = capsys.readouterr().out
    assert output.count(" valid\n") == 11
    assert "11 receipts, 0 invalid. All valid." in output


def test_order_copies_and_topics_do_not_matter(reader: Reader) -> None:
    random.Random(1).shuffle(reader.receipts)
    random.Random(2).shuffle(reader.summaries)
    reader.receipts = [
        b"fleeting/1/d/kiosk-7/receipt " + body for body in reader.receipts + reader.receipts[:3]
    ]
    reader.summaries += reader.summaries[10:20]
    assert reader.verify(reader.key, summaries=True) == 0


def test_one_receipt_per_file(reader: Reader, tmp_path: Path) -> None:
    files = []
    for number, body in enumerate(reader.receipts):
        files.append(tmp_path / f"{number}.json")
        files[-1].write_bytes(body)
    assert verify(files, key=reader.key, summaries=[], as_json=False) == 0


def test_without_a_key_the_signing_key_is_printed(
    reader: Reader, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reader.verify() == 0
    assert f"under key {reader.key}" in capsys.readouterr().out


def test_any_altered_byte_is_found(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    reader.receipts = reader.receipts[4:7]
    whole = reader.receipts[1]
    for place in range(len(whole)):
        altered = bytearray(whole)
        altered[place] ^= 1
        reader.receipts[1] = bytes(altered)
        assert reader.verify(reader.key) == 1, f"byte {place}"
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("place", [0, 3, 9])
def test_a_missing_receipt_is_a_gap(
    reader: Reader, place: int, capsys: pytest.CaptureFixture[str]
) -> None:
    del reader.receipts[place]
    expected = 0 if place == 0 else 1  # a chain may be given from its middle on
    assert reader.verify(reader.key) == expected
    output = capsys.readouterr().out
    if place:
        assert f"gap: number {place + 1} is missing" in output
    else:
        assert "the chain before number 2 was not given" in output


def test_a_fork_is_named_on_both_sides(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    reader.receipts.append(reader.sign(messages=5))
    assert reader.verify(reader.key) == 1
    assert capsys.readouterr().out.count("the chain forks: number 11") == 2


def test_inconsistent_links_are_found(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    reader.receipts[-1] = reader.sign(number=12)
    assert reader.verify(reader.key) == 1
    assert "follows number 10, yet it is number 12" in capsys.readouterr().out
    reader.receipts[-1] = reader.sign(previous="0" * 64)
    assert reader.verify(reader.key) == 1
    assert "names none before" in capsys.readouterr().out
    reader.receipts[-1] = reader.sign(previous="a" * 64)
    assert reader.verify(reader.key) == 1
    assert "does not follow the number 10" in capsys.readouterr().out
    reader.receipts[-1] = reader.sign(start=None)
    assert reader.verify(reader.key) == 1
    assert "does not begin where" in capsys.readouterr().out
    reader.receipts[-1] = reader.sign(number=1)
    assert reader.verify(reader.key) == 1


def test_another_key_is_found(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    other = Ed25519PrivateKey.generate()
    last = Receipt.model_validate_json(reader.receipts[-1]).statement
    public = other.public_key().public_bytes_raw().hex()
    forged = last.model_copy(update={"key": public})
    reader.receipts[-1] = to_json(
        Receipt(statement=forged, signature=other.sign(to_json(forged)).hex())
    )
    assert reader.verify() == 1
    assert f"signed with another key, {public[:8]}" in capsys.readouterr().out
    reader.receipts = reader.receipts[-1:]
    assert reader.verify() == 0  # nothing else was given to compare it with
    assert reader.verify(reader.key) == 1
    assert reader.verify("not a key") == 1


def test_a_missing_summary_is_named(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    del reader.summaries[20:22]
    assert reader.verify(reader.key, summaries=True) == 1
    output = capsys.readouterr().out
    assert "4 of 6 summaries are here; missing: seq 20, 21" in output
    assert output.count("INVALID") == 1


def test_summaries_missing_on_the_first_and_on_many_days(
    reader: Reader, capsys: pytest.CaptureFixture[str]
) -> None:
    del reader.summaries[50:], reader.summaries[30:36], reader.summaries[1]
    assert reader.verify(reader.key, summaries=True) == 1
    output = capsys.readouterr().out
    assert "5 of 6 summaries are here; missing: seq 1." in output
    assert "0 of 6 summaries are here; missing: seq 30, 31, 32, 33, 34, 35" in output
    assert "2 of 6 summaries are here; missing: seq 50, 51, 52, 53" in output
    assert "0 of 6 summaries are here; missing: seq 54" in output
    assert output.count("INVALID") == 4


def test_an_altered_summary_is_found(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    true = reader.summaries[33]
    false = true.replace(b'"k":1', b'"k":9')
    assert false != true
    reader.summaries[33] = false
    assert reader.verify(reader.key, summaries=True) == 1
    output = capsys.readouterr().out
    assert "seq 30 to 35, are here, but at least one is not as it was released" in output
    assert output.count("INVALID") == 1
    reader.summaries.append(true)  # the released copy identifies the altered one
    assert reader.verify(reader.key, summaries=True) == 1
    assert "summaries.jsonl:34; the one at" in capsys.readouterr().out
    reader.summaries[33] = true.replace(b'"slot":0', b'"slot":0.0')
    assert reader.verify(reader.key, summaries=True) == 1
    assert "summaries.jsonl:34: no summary, or not byte for byte" in capsys.readouterr().out


def test_an_added_summary_is_found(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    reader.summaries.insert(7, to_json(summary(41, "deadbeef")))
    assert reader.verify(reader.key, summaries=True) == 1
    output = capsys.readouterr().out
    assert "summaries.jsonl:8; the one at" in output
    assert output.count("INVALID") == 1


def test_summaries_before_and_after_the_receipts(
    reader: Reader, capsys: pytest.CaptureFixture[str]
) -> None:
    reader.summaries += lines([summary(60), summary(61)])
    del reader.receipts[:4]
    assert reader.verify(reader.key, summaries=True) == 0
    output = capsys.readouterr().out
    assert "2 summaries are newer than the last receipt" in output
    assert "18 summaries are from before the first receipt" in output
    del reader.receipts[3]
    assert reader.verify(reader.key, summaries=True) == 1
    assert "no receipt accounts for summary 36" in capsys.readouterr().out


def test_numbers_that_the_device_lost_before_they_were_released(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.tick()
    for _ in range(4):
        box.release(3)
        box.seq += 5
        box.release(2)
        box.pass_time(DAY, DAY / 2)
    receipts = save(tmp_path / "r", box.written("receipt"))
    summaries = save(tmp_path / "s", box.written("summary"))
    key = box.book.public_key
    assert verify([receipts], key=key, summaries=[summaries], as_json=False) == 0


def test_a_new_outbox_counts_from_zero_in_the_same_chain(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.tick()
    box.release(40)
    box.pass_time(DAY, DAY / 2)
    receipts, summaries = box.written("receipt"), box.written("summary")
    box.outbox.close()
    (tmp_path / "outbox.db").unlink()
    box.start()
    box.seq = 0
    box.release(30)
    box.pass_time(DAY, DAY / 2)
    files = [save(tmp_path / "r", receipts + box.written("receipt"))]
    received = [save(tmp_path / "s", summaries + box.written("summary"))]
    # Numbers 0 to 29 came twice, from two outboxes: both are accounted for, but one was removed.
    assert verify(files, key=None, summaries=received, as_json=False) == 2


def test_as_json(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    files = [save(reader.folder / "r", reader.receipts[:3])]
    assert verify(files, key=reader.key, summaries=[], as_json=True) == 0
    output = json.loads(capsys.readouterr().out)
    assert output["valid"] is True
    assert [each["statement"]["number"] for each in output["receipts"]] == [1, 2, 3]
    assert verify([reader.folder / "none"], key=None, summaries=[], as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["problems"] == [
        f"{reader.folder / 'none'} cannot be read: No such file or directory.",
        "No receipt was found.",
    ]


MALFORMED = {
    "empty": b"",
    "not json": b"hello\n",
    "deep": b"[" * 100_000 + b"\n",
    "deep object": b'{"statement":' * 2000 + b"\n",
    "long line": b'{"statement": "' + b"a" * 5_000_000 + b'"}\n',
    "binary": bytes(range(256)) * 50,
    "not utf-8": b'{"statement":"\xff\xfe"}\n',
    "big number": b'{"statement":{"v":' + b"9" * 1500 + b"}}\n",
    "escape codes": b"\x1b[2J\x1b]0;title\x07\n",
    "many lines": b"{}\n" * 10_000,
    "null": b"null\n",
    "zeros": bytes(100_000),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_files(
    reader: Reader, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad\x1b[31m.jsonl"
    bad.write_bytes(MALFORMED[name])
    good = save(tmp_path / "good", reader.receipts)
    assert verify([bad], key=None, summaries=[], as_json=False) == 1
    assert verify([good], key=None, summaries=[bad], as_json=False) == 1
    code = verify([good, bad], key=reader.key, summaries=[], as_json=False)
    assert code == (0 if name == "empty" else 1)
    output = capsys.readouterr()
    assert output.err == ""
    assert "\x1b" not in output.out
    assert len(output.out) < 20_000


def test_a_folder_is_no_receipt(tmp_path: Path) -> None:
    assert verify([tmp_path], key=None, summaries=[], as_json=False) == 1


@given(st.binary(max_size=200), st.integers(0, 3000))
@hypothesis_settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_arbitrary_bytes_raise_nothing(reader: Reader, noise: bytes, place: int) -> None:
    content = b"\n".join(reader.receipts[:2])
    file = reader.folder / "fuzz"
    file.write_bytes(content[:place] + noise + content[place:])
    assert verify([file], key=reader.key, summaries=[file], as_json=False) in (0, 1)
