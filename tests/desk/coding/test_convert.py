"""The verb."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from agent.cli import main
from agent.desk.coding.event import Event, Unit
from agent.desk.coding.files import read_events, write_events

EVENTS = [Event(0.5, 0.8, 0.6, units=(Unit(1), Unit(12, "B")), coder="anna", comment="a, b")]


def test_events_go_from_one_program_to_the_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain = [tmp_path / f"codes{ending}" for ending in (".csv", ".eaf", ".boris", ".tsv")]
    write_events(chain[0], EVENTS)
    for source, target in itertools.pairwise(chain):
        assert main(["convert", str(source), str(target), "--film", "a.mp4"]) == 0
    assert read_events(chain[-1]) == EVENTS
    assert json.loads((tmp_path / "codes.json").read_text())["onset"]["Units"] == "s"
    assert "1 events" in capsys.readouterr().out


def test_what_cannot_be_converted_leaves_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "codes.csv").write_text("onset,duration\nx,1\n")
    assert main(["convert", str(tmp_path / "codes.csv"), str(tmp_path / "out.eaf")]) == 1
    assert "line 2" in capsys.readouterr().err
    assert not (tmp_path / "out.eaf").exists()
