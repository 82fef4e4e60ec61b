"""The whole verb with a stand-in for the workers: resuming, failing, being killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from agent.desk.films import crew
from agent.host.supervise import child_environment
from tests.desk.films.pages import check

FAKE = [sys.executable, "-P", "-m", "tests.desk.films.fake_worker"]
Lines = Callable[..., tuple[int, list[dict[str, Any]]]]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Lines:
    """Runs the verb over `in`; its exit code and lines."""
    monkeypatch.setattr(crew, "PROGRAM", FAKE)
    (tmp_path / "in").mkdir()

    def report(*options: str) -> tuple[int, list[dict[str, Any]]]:
        code = main(["report", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--json",
                     "--jobs", "2", *options])  # fmt: skip
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return report


def states(lines: list[dict[str, Any]]) -> dict[str, str]:
    return {line["film"]: line["state"] for line in lines}


def test_what_is_done_and_unchanged_is_not_done_again(run: Lines, tmp_path: Path) -> None:
    films = tmp_path / "in"
    (films / "a.mp4").write_text("ok one")
    (films / "b.mp4").write_text("ok two")
    code, lines = run()
    assert code == 0
    assert states(lines) == {"a.mp4": "done", "b.mp4": "done"}
    code, lines = run()
    assert code == 0
    assert states(lines) == {"a.mp4": "unchanged", "b.mp4": "unchanged"}
    (films / "b.mp4").write_text("ok two and more")
    (films / "c.mp4").write_text("ok three")
    code, lines = run()
    assert states(lines) == {"a.mp4": "unchanged", "b.mp4": "done", "c.mp4": "done"}
    assert "two and more" in Path(lines[1]["page"]).read_text() + Path(lines[2]["page"]).read_text()
    assert states(run("--no-pdf")[1]) == dict.fromkeys(("a.mp4", "b.mp4", "c.mp4"), "done")
    assert not (films.parent / "out" / "films" / "half").exists()
    with (tmp_path / "out" / "visits.csv").open(newline="") as file:
        assert [row["film"] for row in csv.DictReader(file)] == ["a.mp4", "b.mp4", "c.mp4"]


def test_a_changed_mtime_is_a_change_and_a_changed_model_too(
    run: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = tmp_path / "in" / "a.mp4"
    film.write_text("ok one")
    assert states(run()[1]) == {"a.mp4": "done"}
    os.utime(film, ns=(1, 1))
    assert states(run()[1]) == {"a.mp4": "done"}
    assert states(run()[1]) == {"a.mp4": "unchanged"}
    monkeypatch.setattr("agent.inference.manifest.Manifest.hash16", "f" * 16)
    assert states(run()[1]) == {"a.mp4": "done"}


def test_a_film_that_fails_has_a_row_and_the_others_go_on(run: Lines, tmp_path: Path) -> None:
    films = tmp_path / "in"
    (films / "1.mp4").write_text("refuse 1.mp4 holds <b>no</b> pictures. Convert it.")
    (films / "2.mp4").write_text("die")
    (films / "3.mp4").write_text("crash what a <mess>")
    (films / "4.mp4").write_text("babble fine")
    (films / "5.mp4").symlink_to(tmp_path / "nowhere")
    code, lines = run()
    assert code == 1
    assert states(lines) == {
        "1.mp4": "failed", "2.mp4": "failed", "3.mp4": "failed", "4.mp4": "done", "5.mp4": "failed",
    }  # fmt: skip
    errors = {line["film"]: line.get("error", "") for line in lines}
    assert errors["1.mp4"] == "1.mp4 holds <b>no</b> pictures. Convert it."
    assert "signal 9" in errors["2.mp4"]
    assert "what a <mess>" in errors["3.mp4"]
    assert "No such file" in errors["5.mp4"]
    index = (tmp_path / "out" / "index.html").read_text()
    parsed = check(index)
    text = " ".join(parsed.text)
    for error in errors.values():
        assert error in text
    assert [a["href"] for n, a in parsed.elements if n == "a" and "films/" in (a["href"] or "")]
    assert sorted(p.name.rpartition("-")[0] for p in (tmp_path / "out" / "films").iterdir()) == [
        "4"
    ]
    (films / "2.mp4").write_text("ok")
    assert states(run()[1])["2.mp4"] == "done"


def test_a_worker_that_hangs_is_given_up(
    run: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in" / "1.mp4").write_text("hang")
    monkeypatch.setattr(crew.Crew.__init__, "__defaults__", (0.5,))
    code, (line,) = run()
    assert code == 1
    assert "did not go on" in line["error"]


def test_killed_in_the_middle_it_leaves_nothing_half_written_and_goes_on(
    run: Lines, tmp_path: Path
) -> None:
    films, mark = tmp_path / "in", tmp_path / "mark"
    (films / "a.mp4").write_text("ok one")
    (films / "b.mp4").write_text(f"wait {mark}")
    program = (
        "import sys; from agent.desk.films import crew; from agent.cli import main; "
        f"crew.PROGRAM = {FAKE!r}; sys.exit(main(sys.argv[1:]))"
    )
    words = ["report", str(films), "--out", str(tmp_path / "out"), "--jobs", "1"]
    root = str(Path(__file__).resolve().parents[3])
    with subprocess.Popen(
        [sys.executable, "-c", program, *words], cwd=root, env=child_environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        while not (mark.exists() and mark.read_text()):
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
    worker = int(mark.read_text())
    while Path(f"/proc/{worker}").exists():  # nobody reads it any more
        if Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.02)
    pages = [p for p in (tmp_path / "out" / "films").iterdir() if not p.name.startswith(".")]
    assert [page.name.rpartition("-")[0] for page in pages] == ["a"]
    assert not (tmp_path / "out" / "index.html").exists()
    (films / "b.mp4").write_text("ok two")
    code, lines = run()
    assert code == 0
    assert states(lines) == {"a.mp4": "unchanged", "b.mp4": "done"}
    left = sorted(p.name.rpartition("-")[0] for p in (tmp_path / "out" / "films").iterdir())
    assert left == ["a", "b"]


def test_asked_to_end_it_ends_its_workers(tmp_path: Path) -> None:
    films, mark = tmp_path / "in", tmp_path / "mark"
    films.mkdir()
    (films / "b.mp4").write_text(f"wait {mark}")
    program = (
        "import sys; from agent.desk.films import crew; from agent.cli import main; "
        f"crew.PROGRAM = {FAKE!r}; sys.exit(main(sys.argv[1:]))"
    )
    words = ["report", str(films), "--out", str(tmp_path / "out")]
    root = str(Path(__file__).resolve().parents[3])
    with subprocess.Popen(
        [sys.executable, "-c", program, *words], cwd=root, env=child_environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        while not (mark.exists() and mark.read_text()):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 130
    assert not Path(f"/proc/{mark.read_text()}").exists()


def test_two_at_once_are_refused(run: Lines, tmp_path: Path) -> None:
    import fcntl

    (tmp_path / "in" / "a.mp4").write_text("ok")
    assert run()[0] == 0
    with (tmp_path / "out" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run()[0] == 1
    assert run()[0] == 0


def test_many_films_take_turns_and_no_folder_is_made_before(run: Lines, tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / "in" / f"{number}.mp4").write_text("ok")
    (tmp_path / "in" / "empty").mkdir()
    code, lines = run()
    assert code == 0
    assert len(lines) == 12
    index = check((tmp_path / "out" / "index.html").read_text())
    rows = [name for name, _ in index.elements].count("tr")
    assert rows == 13


def test_without_a_film_there_is_an_index_that_says_so(run: Lines, tmp_path: Path) -> None:
    code, lines = run()
    assert code == 1
    assert "holds no film" in lines[0]["error"]
    check((tmp_path / "out" / "index.html").read_text())


def test_a_folder_that_cannot_be_written_is_said(
    run: Lines, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in" / "a.mp4").write_text("ok")
    (tmp_path / "out").write_text("a file")
    assert main(["report", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 1
    assert "Name another for --out" in capsys.readouterr().err
