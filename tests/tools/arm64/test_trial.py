"""Steps, their results, and the page that they are stored in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tools.arm64 import cli, table
from tools.arm64.readme import commands
from tools.arm64.root import Done, Root
from tools.arm64.state import NARROWER, State, state
from tools.arm64.table import Row
from tools.arm64.trial import Trial, go, row
from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.common.machine import machine


def of(**changed: str) -> State:
    """A state in which all is as ever, apart from what `changed`."""
    return State("abc", {**dict.fromkeys(state().trees, "as ever"), **changed}, True)


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    readme = commands((ROOT / "README.md").read_text(encoding="utf-8"))
    root = Root(tmp_path, "trixie")
    root.folder.mkdir()
    return Trial(root, readme, of(), fresh=False)


class Counting:
    """A step that counts how often it ran."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, trial: Trial) -> Iterator[Row]:
        self.runs += 1
        trial.facts["Python"] = "3.13"
        yield Row("it", "passed", self.runs)


def test_steps_are_done_once_for_a_product(trial: Trial) -> None:
    one, two = Counting(), Counting()
    steps = {"one": one, "two": two}
    go(trial, steps, ["one"], again=False)
    found = go(trial, steps, [], again=False)
    assert (one.runs, two.runs) == (1, 1)
    assert found == {"one": [Row("it", "passed", 1)], "two": [Row("it", "passed", 1)]}
    go(trial, steps, ["two"], again=False)
    assert (one.runs, two.runs) == (1, 2)
    go(trial, steps, [], again=True)
    assert (one.runs, two.runs) == (2, 3)
    changed = Trial(trial.root, trial.readme, of(agent="new"), fresh=False)
    assert go(changed, steps, ["one"], again=False).keys() == {"one"}
    assert (one.runs, two.runs) == (3, 3)


def test_a_step_that_is_interrupted_keeps_those_before_it(trial: Trial) -> None:
    def broken(trial: Trial) -> Iterator[Row]:
        yield Row("half", "passed", 0)
        raise KeyboardInterrupt

    first = Counting()
    with pytest.raises(KeyboardInterrupt):
        go(trial, {"first": first, "broken": broken}, [], again=False)
    found = go(trial, {"first": first, "last": Counting()}, [], again=False)
    assert first.runs == 1
    assert list(found) == ["first", "last"]
    (trial.root.folder / "results.json").write_text("{")
    go(trial, {"first": first}, [], again=False)
    assert first.runs == 2


def test_steps_that_depend_on_less_are_kept_when_something_else_changes(trial: Trial) -> None:
    steps = {name: Counting() for name in ("packages", "units", "models", "run")}
    go(trial, steps, [], again=False)
    for changed, again in (
        (of(agent="new", tests="new"), {"run"}),
        (of(agent="new", systemd="new"), {"units", "run"}),
        (of(agent="newer", systemd="new", **{"agent/vision": "new"}), {"models", "run"}),
    ):
        before = {name: step.runs for name, step in steps.items()}
        found = go(Trial(trial.root, trial.readme, changed, fresh=False), steps, [], again=False)
        assert found.keys() == steps.keys()
        assert {name for name, step in steps.items() if step.runs != before[name]} == again
    other = replace(trial.readme, check="another")
    assert of().of("packages", other) != of().of("packages", trial.readme)


def test_a_step_that_cannot_go_on_is_a_failed_row(trial: Trial) -> None:
    def broken(trial: Trial) -> Iterator[Row]:
        yield Row("half", "passed", 0)
        raise ToolError("no loop device")

    after = Counting()
    rows = go(trial, {"broken": broken, "after": after}, [], again=False)["broken"]
    assert [(each.result, each.note) for each in rows] == [
        ("passed", ""), ("failed", "no loop device")
    ]  # fmt: skip
    assert after.runs == 1


def test_what_the_results_depend_on_exists() -> None:
    found = state()
    assert all((ROOT / name).exists() for name in found.trees)
    assert NARROWER.keys() <= cli.STEPS.keys()
    assert re.fullmatch(r"[0-9a-f]{8,}", found.commit)
    assert re.fullmatch(r"[0-9a-f]{12}", found.of("run", "commands"))


def test_a_clone_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="clean clone"):
        state(tmp_path)


def test_rows_say_why_a_command_failed() -> None:
    assert row("x", Done(0, "good\n", "", 1.0)) == Row("x", "passed", 1.0)
    assert row("x", Done(3, "", "one\ntwo | three\n", 1.0), "note").note == (
        "code 3: two | three; note"
    )
    assert row("x", Done(124, "", "", 9.0)).note == "took too long: it said nothing"
    assert row("x", Done(1, "", "", 9.0), passed=True).result == "passed"


def test_the_page_has_a_row_for_each_and_the_same_as_json(tmp_path: Path) -> None:
    rows = {"a": [Row("`x | y`", "passed", 1.26, "one\ntwo"), Row("z", "not shown", 0)], "b": []}
    text = table.report("trixie", "abc", machine(), {"Python": "3.13.5"}, rows)
    assert "| `x \\| y` | passed | 1 | one two |" in text
    assert "1 passed, 0 failed, 1 not shown" in text
    data = json.loads(text.split("```json\n")[1].split("\n```")[0])
    assert data["parts"]["a"][0] == {
        "what": "`x | y`", "result": "passed", "seconds": 1.26, "note": "one\ntwo",
    }  # fmt: skip
    assert "Not run" not in text
    assert "**Not run here:** c, d." in table.report(
        "x", "abc", machine(), {}, rows, ["a", "c", "d"]
    )
    path = table.save("trixie", text, tmp_path / "new")
    assert path.read_text() == text


def test_layers_of_a_root_are_mounted_over_one_another(tmp_path: Path) -> None:
    root = Root(tmp_path, "bookworm")
    made = root.above(tmp_path / "it's")
    started = made.above(tmp_path / "start", memory=True)
    script = made.command(["true"])[-4]
    assert f"lowerdir={root.path}," in script.replace("'\"'\"'", "'").replace("'", "")
    again = started.command(["ls", "-l"])
    assert again[-3:] == [str(started.path), "ls", "-l"]
    assert again[-5].startswith("mount -t tmpfs tmpfs ")
    assert str(root.path) in again[-5]


def test_who_is_not_root_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    for words in (["try", "trixie"], ["shell", "trixie"], ["wear"]):
        assert cli.main(["--folder", str(tmp_path / "new"), *words]) == 1
        assert "only root can" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_result_of_each_suite_is_committed(suite: str) -> None:
    text = (table.REFERENCE / f"{suite}.md").read_text(encoding="utf-8")
    data = json.loads(text.split("```json\n")[1].split("\n```")[0])
    assert data["suite"] == suite
    assert {"check", "models", "sandbox", "units"} <= data["parts"].keys()
    assert data["parts"].keys() <= cli.STEPS.keys()
