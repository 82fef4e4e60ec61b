"""Verbs of the database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tools.fleet.collector.conftest import body
from tools.fleet.cli import main
from tools.fleet.collector.intake import Incoming
from tools.fleet.collector.writer import Writer
from tools.fleet.store import open_store


@pytest.fixture
def fleet(tmp_path: Path) -> str:
    """A folder whose database has a gap and a quarantined message."""
    with open_store(f"sqlite:///{tmp_path / 'fleet.db'}") as store:
        topic = "fleeting/1/d/box-7/summary"
        sent = [body(1), body(5), b"\x1b[31mred\x00"]
        Writer(store).write([Incoming(topic, each, 1_800_000_000) for each in sent])
    return str(tmp_path)


def test_migrate_says_which_layout(fleet: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", "--fleet", fleet, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["layout"] >= 1


def test_gaps_and_quarantine(fleet: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gaps", "--fleet", fleet, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(each["device"], each["first_seq"], each["missing"]) for each in found] == [
        ("box-7", 2, 3)
    ]
    assert main(["quarantine", "--fleet", fleet]) == 0
    shown = capsys.readouterr().out
    assert "json" in shown
    assert "\x1b[31m" not in shown


def test_prune(fleet: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "--fleet", fleet, "--older-than", "3d"]) == 1
    assert "no age" in capsys.readouterr().err
    assert main(["prune", "--fleet", fleet, "--older-than", "400d", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["summaries"] == 0


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gaps", "--fleet", str(tmp_path / "none")]) == 1
    assert "Make it first" in capsys.readouterr().err
