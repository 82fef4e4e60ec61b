"""`python -m tools.train`: one model, or all in turn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tools.train import __main__ as command
from tools.train.clean import prepare


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What would have been trained, with which options; landmarks fails when told to."""
    seen: list[tuple[str, Any]] = []

    def find(name: str) -> SimpleNamespace:
        def main(options: list[str]) -> int:
            seen.append((name.split(".")[2], options))
            return 3 if "--fail" in options and name.endswith("landmarks.loop") else 0

        return SimpleNamespace(main=main)

    monkeypatch.setattr("importlib.import_module", find)
    monkeypatch.setattr(prepare, "prepare", lambda: seen.append(("prepare", None)))
    return seen


def test_all_trains_each_model_with_the_same_options(calls: list[tuple[str, Any]]) -> None:
    assert command.main(["all", "--minutes", "2"]) == 0
    assert calls == [(name, ["--minutes", "2"]) for name in command.MODELS]


def test_all_stops_at_the_first_failure(calls: list[tuple[str, Any]]) -> None:
    assert command.main(["all", "--fail"]) == 3
    assert [name for name, _ in calls] == ["detector", "landmarks"]


def test_clean_data_is_drawn_first(calls: list[tuple[str, Any]]) -> None:
    assert command.main(["landmarks", "--data", "clean"]) == 0
    first, last = calls
    assert first == ("prepare", None)
    assert last == ("landmarks", ["--data", "clean"])


def test_unknown_model_is_refused(
    calls: list[tuple[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["smell"]) == command.main([]) == 2
    err = capsys.readouterr().err
    assert "detector|landmarks|expression|micro|voice|activity|text|all" in err
    assert calls == []
