"""Captures of every form become the same rows; what is no message of ours is counted."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.base.report import Summary, to_json
from agent.desk import read
from agent.desk.plan.trial import MIDNIGHT, Device, counted
from agent.desk.read import messages
from agent.desk.read.rates import RATES
from tests.desk.read.site import frame, lines
from tests.desk.read.test_noise import policy
from tests.summaries import LISTENING, meta, summary
from tests.tools.fleet.filled import busy
from tools.fleet.broker.watch import line as watched

RETAIL = policy("retail-eu")


def told(number: int = 6) -> list[Any]:
    rng = random.Random(21)
    device = Device(RETAIL, rng)
    return [device.say(counted(rng, 70, RATES["attention"], 0.4), n % 2, MIDNIGHT + 900 * n)
            for n in range(number)]  # fmt: skip


def topic(kind: str = "summary") -> str:
    return f"fleeting/1/d/box-1/{kind}"


def as_json(body: bytes, embedded: bool) -> bytes:
    """As mosquitto_sub prints with `-F %J` or `-F %j`."""
    payload = json.loads(body) if embedded else body.decode()
    said = {"tst": "2026-09-21T08:00:00.430042Z+0200", "topic": topic(), "qos": 1, "retain": 0}
    return json.dumps({**said, "payload": payload}).encode()


def forms() -> dict[str, bytes]:
    bodies = [to_json(each.summary) for each in told()]
    return {
        "mosquitto_sub -v": lines(told()),
        "mosquitto_sub -F %J": b"\n".join(as_json(each, True) for each in bodies),
        "mosquitto_sub -F %j": b"\r\n".join(as_json(each, False) for each in bodies),
        "fleeting-fleet watch": "\n".join(watched(topic(), each) for each in bodies).encode(),
        "bare": b"\n\n".join(bodies) + b"\n# the end\n",
    }


@pytest.mark.parametrize("form", list(forms()))
def test_every_form_gives_the_same_rows(form: str, tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(forms()[form])
    found = read.captures(path, device="box-1")
    expected = frame(told(), bounds=True)
    assert found.attrs["reading"]["summaries"] == len(told())
    assert not found.attrs["reading"]["refused"]
    for name in expected:
        if name != "received":
            assert found[name].equals(expected[name]), name
    if form.startswith("mosquitto_sub -F"):
        assert {each.isoformat() for each in found["received"]} == {"2026-09-21T06:00:00+00:00"}
    else:
        assert found["received"].isna().all()


def test_columns_are_typed_and_withheld_ones_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "capture.gz"
    with gzip.open(path, "wb") as file:
        file.write(lines(told()))
        file.write(f"{topic()} ".encode() + to_json(busy(LISTENING, 90)) + b"\n")
        file.write(f"{topic()} ".encode() + to_json(busy(policy("demo"), 95)) + b"\n")
    found = read.captures(path)
    assert str(found["start"].dt.tz) == "UTC"
    assert found["visits"].dtype == float
    assert found["published"].dtype == bool
    assert found["words_positive"].notna().sum() == 1
    assert found["visits_b"].iloc[0] == 5.5
    noiseless = found[found["epsilon_milli"] == 0]
    assert (noiseless["visits_low"] <= noiseless["visits"]).all()
    assert list(found["missing_before"].iloc[-2:]) == [84, 4]
    withheld = found[~found["published"]]
    assert withheld[["visits", "visits_low", "visits_high", "expression_fear"]].isna().all().all()
    only_sums = read.total(found, "valence_sum")
    assert only_sums.unit == "hundredths"


def test_what_is_none_is_counted_and_copies_are_dropped(tmp_path: Path) -> None:
    good = to_json(told(1)[0].summary)
    other = good.replace(b'"usable":100', b'"usable":95')
    path = tmp_path / "capture"
    bad = {
        b"fleeting/1/d/box-1/summary " + good[:-1]: "json",
        b"fleeting/1/d/box-1/summary " + good.replace(b'"slot":0', b'"slot":999'): "fields",
        b"fleeting/1/d/box-1/summary " + good.replace(b'":', b'": '): "not_canonical",
        b"fleeting/1/d/box-1/summary " + other: "conflict",
        b"fleeting/1/d/box-1/summary " + b" " * 5000 + b"x": "size",
        b"fleeting/1/d/box%1/summary " + good: "topic",
        b"fleeting/1/d/box-1/summary/more/and/more x": "topic",
        b'{"topic":"elsewhere","payload":"x"}': "topic",
        b'{"payload": [': "json",
        b'{"topic":"fleeting/1/d/box-1/summary"}': "fields",
        b"[" * 3000: "line",
        b"\xff\xfe\x00": "line",
        b"x" * 40_000: "size",
        b"box-1            summary  REFUSED: 3 fields are not as they must be": "fields",
    }
    fine = [
        b"fleeting/1/d/box-1/summary " + good,
        b"fleeting/1/d/box-1/summary " + good,
        b"fleeting/1/d/box-1/state online",
        b"box-1            state    online",
    ]
    path.write_bytes(b"\n".join([*fine, *bad]))
    found = read.captures(path)
    tally = found.attrs["reading"]
    assert tally["summaries"] == len(found) == 1
    assert tally["copies"] == 1
    assert tally["others"] == 2
    expected: dict[str, int] = {}
    for reason in bad.values():
        expected[reason] = expected.get(reason, 0) + 1
    assert tally["refused"] == expected
    assert len(tally["first_refused"]) == len(bad)
    assert tally["first_refused"][0] == "line 5: json"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.sampled_from(list(forms().values())).map(lambda b: b[:500]))
def test_no_line_breaks_the_reader(line: bytes) -> None:
    found = messages.said(line, "box")
    assert found is None or isinstance(found, (str, messages.Said))
    body = messages.examine(line)
    assert isinstance(body, (str, Summary))


def test_a_meta_message_places_windows_without_a_clock(tmp_path: Path) -> None:
    unplaced = to_json(summary(0))
    assert b'"clock":"none"' in unplaced or b'"start":' in unplaced
    body = json.loads(to_json(busy(RETAIL, 7)))
    body["window"] = {"start": None, "offset": 4500, "length": 900, "clock": "none", "merged": 0}
    said = Summary.model_validate_json(json.dumps(body))
    birth = meta(said.boot)
    known = birth.model_copy(
        update={"birth": birth.birth.model_copy(update={"epoch": MIDNIGHT, "clock": "ntp"})}
    )
    path = tmp_path / "capture"
    path.write_bytes(f"{topic()} ".encode() + to_json(said) + b"\n")
    lost = read.captures(path)
    assert lost["start"].isna().all()
    assert lost["clock"].iloc[0] == "none"
    with path.open("ab") as file:
        file.write(f"{topic('meta')} ".encode() + to_json(known) + b"\n")
    found = read.captures(path)
    assert found["start"].iloc[0].timestamp() == MIDNIGHT + 4500
    assert list(found["placed"]) == ["meta"]
    assert found["offset"].iloc[0] == 4500


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(read.ReadError, match=r"none\.txt cannot be read: No such file"):
        read.captures(tmp_path / "none.txt")
    broken = tmp_path / "broken.gz"
    broken.write_bytes(gzip.compress(lines(told()))[:-40])
    with pytest.raises(read.ReadError, match="damaged"):
        read.captures(broken)
    empty = tmp_path / "empty"
    empty.touch()
    found = read.captures(empty)
    assert len(found) == 0
    assert {"device", "start", "published"} <= set(found)
    with pytest.raises(read.NothingToAddError):
        read.total(found, "visits")


def test_several_files_are_read_as_one(tmp_path: Path) -> None:
    every = lines(told()).splitlines(keepends=True)
    (tmp_path / "a").write_bytes(b"".join(every[:4]))
    (tmp_path / "b").write_bytes(b"".join(every[2:]))
    found = read.captures(tmp_path / "a", tmp_path / "b", level=0.8)
    assert len(found) == 6
    assert found.attrs["reading"]["copies"] == 2
    wide = read.captures(tmp_path / "a", tmp_path / "b")
    there = found["published"].to_numpy()
    assert np.all((found["visits_high"] <= wide["visits_high"])[there])
