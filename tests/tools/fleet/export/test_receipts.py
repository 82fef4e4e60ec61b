"""Receipts of a whole fleet against the database: what is missing, altered, added or moved."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from agent.base.report import Meta, Receipt, from_json, to_json
from tests.desk.receipt.days import DAY, HOUR, Box
from tests.summaries import meta
from tests.tools.fleet.filled import NOW, add_device, say
from tools.fleet.cli import main
from tools.fleet.collector.intake import Incoming
from tools.fleet.collector.writer import Writer
from tools.fleet.store import open_store

Reports = pytest.CaptureFixture[str]
DEVICE = "kiosk-7"


class Fleet:
    """A fleet's folder with one real device, whose outbox and receipt book are driven by hand."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        (folder / "fleet.toml").write_text(f"[store]\nurl = {json.dumps(url)}\n")
        self.store = open_store(url)

    def device(self, name: str, box: Box, days: int = 5, vouch: bool = True) -> None:
        """Of noon to midnight some days later, with all that it said in the database."""
        box.tick()
        for _ in range(days):
            for each in box.release(3):
                say(self.store, name, each, int(box.utc or 0))
            box.pass_time(DAY, DAY / 2)
        self.receipts(name, box)
        add_device(self.store, name, meta=told(box) if vouch else None)

    def receipts(self, name: str, box: Box) -> None:
        for body in box.written("receipt"):
            receipt = from_json(Receipt, body)
            assert receipt is not None
            known = self.store.tuples(
                "SELECT 1 FROM receipts WHERE device = ? AND key = ? AND number = ?",
                (name, receipt.statement.key, receipt.statement.number),
            )
            if not known:
                say(self.store, name, receipt, receipt.statement.end or 0)

    def verify(self, *words: str) -> int:
        return main(["receipts", "verify", "--fleet", str(self.folder), *words])


def told(box: Box) -> str:
    last = {"key": box.book.public_key, "receipt": box.book.last()}
    return to_json(Meta.model_validate({**dict(meta()), **last})).decode()


@pytest.fixture
def fleet(tmp_path: Path, store_url: str) -> Fleet:
    return Fleet(tmp_path, store_url)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    (tmp_path / "box").mkdir()
    return Box(tmp_path / "box")


def test_a_fleet_that_is_whole(fleet: Fleet, box: Box, capsys: Reports) -> None:
    fleet.device(DEVICE, box)
    add_device(fleet.store, "new-one")
    assert fleet.verify() == 0
    output = capsys.readouterr().out
    assert "kiosk-7" in output
    assert "2027-01-15" in output
    assert "none yet" in output
    assert "2 devices: 0 not valid, 0 with a break" in output
    assert fleet.verify("--json", "--until", "2027-01-19") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "valid"
    (kiosk, _) = found["devices"]
    assert (kiosk["device"], kiosk["summaries"], len(kiosk["receipts"])) == (DEVICE, 15, 6)
    assert fleet.verify("--until", "2027-01-20") == 1


ATTACKS: dict[str, tuple[str, int, str]] = {
    "a summary is gone": (
        "DELETE FROM summaries WHERE seq = 4", 1, "2 of 3 summaries are here; missing: seq 4"),
    "the last summary is gone": (
        "DELETE FROM summaries WHERE seq = 14", 1, "missing: seq 14"),
    "a summary was changed": (
        "UPDATE summaries SET body = REPLACE(body, 'slot', 'slut') WHERE seq = 5", 1,
        "kiosk-7: summary 0a1b2c3d/5: the row was changed"),
    "a summary was moved": (
        "UPDATE summaries SET seq = 900 WHERE seq = 5", 1, "the row holds another summary"),
    "a receipt is gone": (
        "DELETE FROM receipts WHERE number = 3", 1, "number 3 is missing"),
    "the last receipt is gone": (
        "DELETE FROM receipts WHERE number = 6", 1, "of these number 6 not given"),
    "a receipt was changed": (
        "UPDATE receipts SET body = REPLACE(body, 'messages', 'messagez') WHERE number = 2", 1,
        "receipt 2 of key"),
    "a receipt was renumbered": (
        "UPDATE receipts SET number = 60 WHERE number = 6", 1, "holds another receipt"),
    "a row is no text": (
        "UPDATE summaries SET body = '' WHERE seq = 6", 1, "the row was changed"),
    "all receipts are gone": ("DELETE FROM receipts", 1, "No receipt was found"),
    "nothing was done": ("DELETE FROM summaries WHERE seq = 999", 0, "0 not valid"),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_what_was_done_to_the_database_shows(
    fleet: Fleet, box: Box, capsys: Reports, name: str
) -> None:
    sql, code, words = ATTACKS[name]
    fleet.device(DEVICE, box)
    boot = fleet.store.tuples("SELECT MIN(boot) FROM summaries")[0][0]
    fleet.store.execute("UPDATE summaries SET received = ?", (int(time.time()) - 30 * 86_400,))
    fleet.store.execute(sql)
    assert fleet.verify("--device", DEVICE) == code
    assert words.replace("0a1b2c3d", boot) in capsys.readouterr().out


def test_another_devices_summaries_do_not_count(
    fleet: Fleet, box: Box, tmp_path: Path, capsys: Reports
) -> None:
    (tmp_path / "other").mkdir()
    fleet.device(DEVICE, box)
    fleet.device("kiosk-8", Box(tmp_path / "other"))
    assert fleet.verify() == 0
    fleet.store.execute("DELETE FROM summaries WHERE device = 'kiosk-8' AND seq > 5")
    capsys.readouterr()
    assert fleet.verify("--json") == 1
    found = json.loads(capsys.readouterr().out)["devices"]
    assert {each["device"]: each["verdict"] for each in found} == {
        DEVICE: "valid", "kiosk-8": "invalid",
    }  # fmt: skip
    assert fleet.verify("--device", DEVICE) == 0


def test_a_device_set_up_anew_has_a_break(
    fleet: Fleet, box: Box, tmp_path: Path, capsys: Reports
) -> None:
    fleet.device(DEVICE, box)
    (tmp_path / "anew").mkdir()
    again = Box(tmp_path / "anew", utc=box.utc)
    fleet.store.execute("DELETE FROM devices")
    fleet.device(DEVICE, again)
    assert fleet.verify() == 2
    output = capsys.readouterr().out
    assert "the key changed" in output
    assert "1 with a break" in output
    fleet.store.execute("DELETE FROM summaries WHERE boot = ? AND seq = 7", (again.outbox.boot,))
    assert fleet.verify() == 1


def test_a_key_that_was_lost_while_the_outbox_went_on(
    fleet: Fleet, box: Box, capsys: Reports
) -> None:
    fleet.device(DEVICE, box)
    for path in box.folder.glob("receipt*"):
        path.unlink()
    box.restart()
    fleet.store.execute("DELETE FROM devices")
    fleet.device(DEVICE, box)
    assert fleet.verify() == 2
    capsys.readouterr()
    fleet.store.execute("DELETE FROM summaries WHERE seq = 22")
    assert fleet.verify() == 1
    assert "seq 22" in capsys.readouterr().out


def test_since_leaves_out_what_was_before(fleet: Fleet, box: Box, capsys: Reports) -> None:
    fleet.device(DEVICE, box, days=8)
    fleet.store.execute("DELETE FROM summaries WHERE seq < 3")
    assert fleet.verify() == 1
    capsys.readouterr()
    assert fleet.verify("--since", "2027-01-20", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["devices"]
    assert [each["statement"]["number"] for each in found["receipts"]] == [6, 7, 8, 9]
    fleet.store.execute("DELETE FROM summaries WHERE seq = 22")
    assert fleet.verify("--since", "2027-01-20") == 1


def test_a_device_that_says_it_has_signed_must_have_receipts(
    fleet: Fleet, box: Box, capsys: Reports
) -> None:
    box.tick()
    for each in box.release(3):
        say(fleet.store, DEVICE, each, int(time.time()))
    add_device(fleet.store, DEVICE)
    assert fleet.verify() == 0
    assert "none yet" in capsys.readouterr().out
    add_device(fleet.store, DEVICE, meta=told(box))
    assert fleet.verify() == 1
    assert "the device has signed receipts up to number 1" in capsys.readouterr().out


def test_a_copy_of_a_device_shows_in_quarantine(fleet: Fleet, box: Box, capsys: Reports) -> None:
    """It signs with the same key and counts as the first does, and the first's are stored."""
    fleet.device(DEVICE, box, days=3)
    (row,) = fleet.store.execute("SELECT body FROM receipts WHERE number = 2")
    receipt = from_json(Receipt, row["body"].encode())
    assert receipt is not None
    other = receipt.model_copy(
        update={"statement": receipt.statement.model_copy(update={"messages": 77})}
    )
    incoming = Incoming(f"fleeting/1/d/{DEVICE}/receipt", to_json(other), NOW)
    assert Writer(fleet.store).write([incoming]).refused == {"conflict": 1}
    assert fleet.verify() == 2
    assert "is there a copy of this device?" in capsys.readouterr().out
    assert fleet.verify("--json") == 2
    assert len(json.loads(capsys.readouterr().out)["devices"][0]["conflicts"]) == 1


def test_rows_of_other_types_are_no_crash(tmp_path: Path, box: Box, capsys: Reports) -> None:
    """SQLite's columns take anything."""
    fleet = Fleet(tmp_path, f"sqlite:///{tmp_path / 'fleet.db'}")
    fleet.device(DEVICE, box, days=2)
    for value in ("x'00ff'", "7"):
        fleet.store.execute(f"UPDATE summaries SET body = {value} WHERE seq = 1")
        assert fleet.verify() == 1
        assert "the row was changed" in capsys.readouterr().out


def test_what_is_asked_wrongly_is_refused(fleet: Fleet, capsys: Reports) -> None:
    for words in (["--device", "nobody"], ["--device", "a/b"], ["--since", "soon"],
                  ["--until", "2027-02-30"]):  # fmt: skip
        assert fleet.verify(*words) == 1
        assert "fleeting-fleet: " in capsys.readouterr().err


def test_summaries_after_a_reset_of_the_outbox(fleet: Fleet, box: Box, capsys: Reports) -> None:
    fleet.device(DEVICE, box, days=2, vouch=False)
    box.outbox.close()
    for path in box.folder.glob("outbox.db*"):
        path.unlink()
    box.seq = 0
    box.start()
    for each in box.release(2):
        say(fleet.store, DEVICE, each, int(box.utc or 0))
    box.pass_time(DAY, HOUR * 6)
    fleet.receipts(DEVICE, box)
    assert fleet.verify() == 2
    assert "the outbox was removed or replaced" in capsys.readouterr().out
