"""`python -m tools.eval.publish`: what the training command hands over is understood."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tools.common.errors import ToolError
from tools.eval import publish


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """Which module would publish, with what; micro fails, detector lacks a package."""
    seen: list[tuple[str, str, int]] = []

    def find(name: str) -> SimpleNamespace:
        if "detector" in name:
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

        def make(data: str, seed: int) -> None:
            seen.append((name, data, seed))
            if "micro" in name:
                raise ToolError("no card")

        return SimpleNamespace(publish=make)

    monkeypatch.setattr("importlib.import_module", find)
    return seen


def test_the_model_s_own_module_publishes(published: list[tuple[str, str, int]]) -> None:
    assert publish.main(["landmarks", "--data", "clean", "--seed", "5"]) == 0
    assert publish.main(["expression"]) == 0
    assert published == [
        ("tools.eval.landmarks.publish", "clean", 5),
        ("tools.eval.expression.publish", "all", 68),
    ]


@pytest.mark.usefixtures("published")
def test_failures_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert publish.main(["micro"]) == publish.main(["detector"]) == 1
    assert capsys.readouterr().err == (
        "publish: no card\nPublishing needs torch: pip install '.[train]'\n"
    )
