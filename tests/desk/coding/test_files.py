"""Event lists survive every format; other programs' files are read, and broken ones named."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings

from agent.cli import main
from agent.desk.coding import boris, elan, table
from agent.desk.coding.event import CodingError, Event, Unit, in_order
from agent.desk.coding.files import FORMATS, read_events, write_events
from tests.desk.coding.lists import events

SAME = Event(1.0, 1.2, comment="x")
KEYS = ("onset", "offset", "kind", "coder", "code", "comment", "apex", "score")


def ordered(found: list[Event]) -> list[Event]:
    """In an order that no field is left out of."""
    return sorted(found, key=lambda each: tuple(str(getattr(each, key)) for key in KEYS))


@pytest.mark.parametrize("ending", FORMATS)
@settings(max_examples=100, deadline=None)
@given(events())
@example([])
@example([SAME, SAME, replace(SAME, comment="n/a"), replace(SAME, comment="apex=1 | x")])
@example([Event(1.0, 1.2, coder=c, comment=c) for c in ("=1", "'=1", "''@a", "'a", "-", "'")])
@example([Event(0.0, 0.001, comment='"'), Event(5.0, 5.001, kind="head", comment=" a ")])
def test_a_list_of_events_survives(ending: str, given_: list[Event]) -> None:
    form = FORMATS[ending]
    assert ordered(form.read(form.write(given_, "film.mp4", 12_000.0))) == ordered(given_)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_is_written_and_read_whatever_its_name(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a b\nc{ending.upper()}"
    given_ = [Event(0.5, 0.9, 0.7, units=(Unit(12, "B", "L"),), polarity="positive", score=0.9)]
    write_events(path, given_, "film.mp4", 60.0)
    assert read_events(path) == given_


def test_times_between_milliseconds_are_rounded_and_nothing_gets_lost() -> None:
    given_ = [Event(1 / 3, 1 / 3, 1 / 3), Event(2 / 3, 1.00005, 1.00005)]
    for form in FORMATS.values():
        for before, after in zip(given_, form.read(form.write(given_, "", None)), strict=True):
            assert after.onset == pytest.approx(before.onset, abs=0.0006)
            assert after.offset == pytest.approx(before.offset, abs=0.0011)


@pytest.mark.parametrize("said", ["=HYPERLINK(1)", "+1", "-1", "@a", "\t=1"])
def test_a_spreadsheet_finds_no_formula_in_a_table(said: str) -> None:
    event = Event(1.0, 1.2, coder=said.strip(), comment=said)
    cells = list(csv.reader(io.StringIO(table.write_csv([event]).decode(), newline="")))[1]
    assert all(cell[:1] not in "=+-@\t\r" or not cell for cell in cells)


def test_annotations_of_a_tier_never_overlap_as_elan_demands() -> None:
    at_once = [Event(1.0 + 0.1 * n, 2.0, coder="anna") for n in range(5)]
    root = ET.fromstring(elan.write(at_once))
    slots = {s.get("TIME_SLOT_ID"): int(s.get("TIME_VALUE", "")) for s in root.iter("TIME_SLOT")}
    names = [tier.get("TIER_ID") for tier in root.iter("TIER")]
    assert len(names) == len(set(names)) == 5
    for tier in root.iter("TIER"):
        spans = sorted(
            (slots[each.get("TIME_SLOT_REF1")], slots[each.get("TIME_SLOT_REF2")])
            for each in tier.iter("ALIGNABLE_ANNOTATION")
        )
        assert all(start < end for start, end in spans)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


def test_every_start_in_a_project_has_its_stop_and_every_behaviour_its_row() -> None:
    at_once = [Event(1.0, 2.0), Event(1.5, 1.7), Event(1.6, 1.9, coder="b")]
    project = json.loads(boris.write(at_once, "film.mp4", 10.0))
    (observation,) = project["observations"].values()
    codes = {each["code"] for each in project["behaviors_conf"].values()}
    counts: dict[tuple[str, str], int] = {}
    for _, subject, code, *_ in observation["events"]:
        assert code in codes
        counts[subject, code] = counts.get((subject, code), 0) + 1
    assert set(counts.values()) == {2}
    assert observation["media_info"]["length"] == {"film.mp4": 10.0}


def test_a_tier_of_somebody_else_is_read() -> None:
    document = b"""<?xml version="1.0"?><ANNOTATION_DOCUMENT><TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="t1" TIME_VALUE="1000"/><TIME_SLOT TIME_SLOT_ID="t2" TIME_VALUE="1400"/>
    </TIME_ORDER><TIER TIER_ID="Lips" PARTICIPANT="P1"><ANNOTATION><ALIGNABLE_ANNOTATION
    ANNOTATION_ID="a1" TIME_SLOT_REF1="t1" TIME_SLOT_REF2="t2"><ANNOTATION_VALUE>a half smile
    </ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>"""
    assert elan.read(document) == [
        Event(1.0, 1.4, kind="other", coder="P1", comment="Lips: a half smile")
    ]


def test_a_project_of_somebody_else_is_read() -> None:
    project = {
        "behaviors_conf": {
            "0": {"code": "smile", "type": "State event"},
            "1": {"code": "blink", "type": "Point event"},
        },
        "observations": {
            "one": {
                "events": [
                    [1.0, "No focal subject", "smile", "AU12|strong", "", ""],
                    [1.2, "", "blink", "", "both eyes"],
                    [1.5, "No focal subject", "smile", "AU12|strong", "", ""],
                ]
            }
        },
    }
    assert boris.read(json.dumps(project).encode()) == [
        Event(1.0, 1.5, kind="other", units=(Unit(12),), comment="smile: strong"),
        Event(1.2, 1.2, kind="blink", comment="both eyes"),
    ]


def test_a_table_in_frames_of_a_database_is_read() -> None:
    text = (
        "Subject,Filename,OnsetFrame,ApexFrame,OffsetFrame,Action Units,Estimated Emotion\n"
        "1,EP02_01f,46,59,86,L10+AU12,happiness\n2,x,101,/,121,4,\n"
    )
    first, second = table.read_csv(text.encode(), 200.0)
    assert first == Event(
        0.225, 0.425, 0.29, units=(Unit(10, "", "L"), Unit(12)), comment="happiness"
    )
    assert second.apex is None
    with pytest.raises(CodingError, match="--fps"):
        table.read_csv(text.encode())


@pytest.mark.parametrize(
    ("ending", "data", "words"),
    [
        (".eaf", b"<x", "line 1"),
        (".eaf", b"<html/>", "another kind"),
        (".eaf", b'<?xml version="1.0" encoding="klingon"?><a/>', "save it as UTF-8"),
        (".eaf", b'<?xml version="1.0" encoding="Shift_JIS"?><a/>', "save it as UTF-8"),
        (".eaf", elan.write([SAME]).replace(b'"1000"', b'"0:01"'), "'0:01' is no number of milli"),
        (".boris", b"{", "line 1"),
        (".boris", b"[]", "no project"),
        (".boris", b"\xff", "byte 0"),
        (".boris", b'{"observations": ' + b"9" * 5000 + b"}", "no project"),
        (".boris", boris.write([SAME]).replace(b"1.0,", b"9" * 400 + b","), "has no time"),
        (".boris", b'{"behaviors_conf": {}, "observations": {"a": {"events": {}}}}', "no list"),
        (".boris", b'{"behaviors_conf": {"0": {"code": "a", "type": "State event"}},'
                   b' "observations": {"o": {"events": [[1, "", "a", "", ""]]}}}', "never ends"),
        (".tsv", b"onset\tduration\n1\tlong\n", "line 2"),
        (".tsv", b'onset\tduration\tcomment\n1\t2\t"x\n', "line 2"),
        (".csv", b"", "empty"),
        (".csv", b"a,b\n1,2\n", "onset and duration"),
        (".csv", b"onset,duration,trial_type\n2,1,dance\n", "line 2"),
        (".csv", b"onset,duration\n2,-1\n", "line 2"),
        (".csv", b"onset,duration\nnan,1\n", "line 2"),
        (".csv", b"onset,duration\n\n\n1,2\n\xff,2\n", "line 5"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(ending: str, data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / f"codes{ending}"
    path.write_bytes(data)
    with pytest.raises(CodingError, match=words) as caught:
        read_events(path)
    assert path.name in str(caught.value)


def test_an_unknown_ending_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(CodingError, match=r"\.eaf"):
        read_events(tmp_path / "codes.xlsx")
    with pytest.raises(CodingError, match="No such file"):
        read_events(tmp_path / "codes.eaf")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_project_may_have_a_mark_of_its_encoding(encoding: str) -> None:
    """As editors save it."""
    given_ = [replace(SAME, comment="caf\xe9")]
    assert boris.read(boris.write(given_).decode().encode(encoding)) == given_


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(CodingError, match="it is a pipe or a device, not a file"):
        read_events(tmp_path / "a.csv")


def test_a_bomb_of_entities_is_refused() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY %s "%s">' % (b"abcdefghij"[n : n + 1], b"&%s;" % b"abcdefghij"[n - 1 : n] * 10)
        for n in range(1, 10)
    )
    with pytest.raises(CodingError):
        elan.read(bomb + b"]><ANNOTATION_DOCUMENT>&j;</ANNOTATION_DOCUMENT>")


def test_events_in_order_of_time() -> None:
    late, early = Event(2.0, 3.0), Event(1.0, 4.0)
    assert in_order([late, early]) == [early, late]


_COMMAS = "onset,duration,apex,action_units\n0.5,0.25,0.625,1+2\n"


@pytest.mark.parametrize(
    ("ending", "data"),
    [
        (".csv", _COMMAS.encode()),
        (".csv", _COMMAS.encode("utf-16")),
        (".csv", _COMMAS.replace("\n", "\r").encode()),
        (".csv", _COMMAS.replace(",", ";").replace(".", ",").replace("+", ",").encode()),
        (".csv", _COMMAS.replace(",", "\t").replace(".", ",").encode("utf-16")),
        (".tsv", _COMMAS.replace(",", "\t").replace("\n", "\r").encode()),
        (".tsv", _COMMAS.replace(",", "\t").replace("\n", "\r\n").encode("utf-16")),
    ],
)
def test_as_spreadsheets_save_it(ending: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"codes{ending}"
    path.write_bytes(data)
    (event,) = read_events(path)
    assert (event.onset, event.apex, event.offset, event.code) == (0.5, 0.625, 0.75, "1+2")


@pytest.mark.parametrize("fps", ["0", "-1", "nan", "inf", "x"])
def test_an_impossible_rate_is_refused(
    fps: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["convert", str(tmp_path / "a.csv"), str(tmp_path / "a.eaf"), "--fps", fps])
    assert "from 0.001 to 10,000" in capsys.readouterr().err
