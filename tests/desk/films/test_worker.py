"""The real worker in its sandbox, over real films; figures as `fleeting replay` prints them."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from agent.base.assets import CLIP
from agent.base.report import HeardSummary
from agent.base.settings_file import parse
from agent.cli import main
from agent.desk.films.columns import WINDOWS
from agent.desk.films.find import find
from agent.desk.films.rows import window_row
from agent.desk.films.worker import Job
from agent.host.supervise import child_environment
from tests.desk.films.made import analysed, config
from tests.desk.films.pages import check

pytestmark = pytest.mark.slow
LABEL = "caf\\xe9 <b>\"&' clip.mp4"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, Path]:
    """Output, exit code and folder of a run over the clip, under an odd name, and a broken film."""
    place = tmp_path_factory.mktemp("report")
    films = place / "in"
    films.mkdir()
    shutil.copy(CLIP, str(films / "caf\udce9 <b>\"&' clip.mp4"))
    (films / "broken.mp4").write_bytes(CLIP.read_bytes()[:20_000] + bytes(1000))
    (films / "text.mkv").write_text("no film")
    code = main(["report", str(films), "--out", str(place / "out"), "--jobs", "1"])
    return place / "out", code, films


def page(out: Path, label: str) -> Path:
    with (out / "windows.csv").open(newline="", encoding="utf-8") as file:
        row = next(each for each in csv.DictReader(file) if each["film"] == label)
    return out / "films" / row["page"]


def test_windows_are_those_of_replay(
    made: tuple[Path, int, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out, _, _ = made
    assert main(["replay", str(CLIP), "--json", "--events"]) == 0
    lines = capsys.readouterr().out.splitlines()
    events = [json.loads(line) for line in lines if line.startswith('{"event"')]
    summaries = [
        HeardSummary.model_validate_json(line) for line in lines if not line.startswith('{"event"')
    ]
    with (out / "windows.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["film"] == LABEL]
    assert len(rows) == len(summaries) > 2
    for row, summary in zip(rows, summaries, strict=True):
        expected = window_row(summary)
        for column in WINDOWS[2:]:
            value = expected.get(column.name)
            assert row[column.name] == ("" if value is None else str(value)), column.name
    with (out / "events.csv").open(newline="", encoding="utf-8") as file:
        found = [r for r in csv.DictReader(file) if r["film"] == LABEL and r["kind"] == "micro"]
    keys = ("onset", "apex", "offset", "score", "polarity")
    names = ("start_s", "apex_s", "end_s", "score", "label")
    assert sorted(tuple(str(e[k]) for k in keys) for e in events) == sorted(
        tuple(r[n] for n in names) for r in found
    )
    total: dict[str, int] = {}
    for summary in summaries:
        for name in ("visits",):
            total[name] = total.get(name, 0) + (getattr(summary, name) or 0)
    with (out / "visits.csv").open(newline="", encoding="utf-8") as file:
        assert sum(r["film"] == LABEL for r in csv.DictReader(file)) == total["visits"]


def test_broken_films_have_their_errors_in_the_index(made: tuple[Path, int, Path]) -> None:
    out, code, _ = made
    assert code == 1
    parsed = check((out / "index.html").read_text())
    text = " ".join(parsed.text)
    assert "broken.mp4" in text
    assert "text.mkv" in text
    links = [a["href"] or "" for name, a in parsed.elements if name == "a"]
    assert len([link for link in links if link.endswith("report.html")]) == 1
    assert len(list((out / "films").iterdir())) == 1


def test_the_page_is_valid_and_nothing_written_shows_anybody(
    made: tuple[Path, int, Path],
) -> None:
    out, _, _ = made
    folder = page(out, LABEL)
    html = (folder / "report.html").read_text()
    names = [name for name, _ in check(html).elements]
    assert not {"img", "image", "script", "canvas"} & set(names)
    assert "image/" not in html
    assert b"/Subtype /Image" not in (folder / "report.pdf").read_bytes()
    pictures = re.compile(rb"\xff\xd8\xff|\x89PNG|RIFF....WEBP|ftyp(avif|heic)", re.DOTALL)
    for path in out.rglob("*"):
        if path.is_file():
            assert not pictures.search(path.read_bytes()), path.name
            assert path.suffix in {".html", ".pdf", ".csv", ".parquet", ".json", ".md", ""}


def test_pictures_come_only_when_asked_for_and_subtitles_are_words(tmp_path: Path) -> None:
    out, film = tmp_path / "out", tmp_path / "clip.mp4"
    shutil.copy(CLIP, film)
    film.with_suffix(".srt").write_text(
        "1\n00:00:04,000 --> 00:00:06,000\nthis is wonderful, I love it\n\n"
        "2\n00:00:20,000 --> 00:00:21,000\nthat was terrible, I hate it\n"
    )
    assert main(["report", str(film), "--out", str(out), "--with-frames", "--no-pdf"]) == 0
    with (out / "events.csv").open(newline="", encoding="utf-8") as file:
        words = [row for row in csv.DictReader(file) if row["kind"] == "words"]
    assert [(row["label"], round(float(row["start_s"]))) for row in words] == [
        ("positive", 6), ("negative", 21),
    ]  # fmt: skip
    assert all("wonderful" not in path.read_text() for path in out.rglob("*.[ch][st][vm]*"))
    (html,) = out.rglob("report.html")
    assert "2 lines of subtitles (negative 1, positive 1)" in " ".join(check(html.read_text()).text)
    images = [a for name, a in check(html.read_text()).elements if name == "img"]
    assert 4 <= len(images) <= 10
    assert all((a["src"] or "").startswith("data:image/jpeg;base64,") for a in images)
    assert "The stills below show people" in html.read_text()
    assert not list(out.rglob("*.pdf"))


def test_a_film_that_went_away_meanwhile_has_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was open; and one that grows has the size that was looked at."""
    from agent.desk.films import analyse
    from agent.desk.films.worker import work

    film, folder = tmp_path / "a.mp4", tmp_path / "out"
    film.write_bytes(bytes(1_500_000))
    folder.mkdir()

    def unlinked(*_: object) -> analyse.Analysis:
        film.unlink()
        return analysed()

    monkeypatch.setattr(analyse, "analyse", unlinked)
    job = Job(str(film), "a.mp4", "a", str(folder), "{}", frames=False, pdf=False)
    assert work(job, config())["seconds"] > 0
    assert "1.5 MB" in (folder / "report.html").read_text()


def test_the_worker_reads_its_film_and_writes_its_folder_only(tmp_path: Path) -> None:
    """It is asked for another film, and to write elsewhere, from within."""
    import subprocess
    import sys

    (film,) = find([CLIP], tmp_path).films
    mine = tmp_path / "mine"
    mine.mkdir()
    other = tmp_path / "other.mp4"
    other.write_bytes(b"secret")
    config: Any = parse({"privacy": {"policy": "demo"}}, "a test").model_dump_json()
    job = Job(str(film.path), "a", "a", str(mine), config, False, False)
    program = (
        "import sys, json; from pathlib import Path\n"
        "import agent.desk.films.worker as w\n"
        "def work(job, config):\n"
        "    tried = {}\n"
        "    for name, act in (\n"
        f"        ('read', lambda: Path({str(other)!r}).read_bytes()),\n"
        f"        ('write', lambda: Path({str(tmp_path / 'out.txt')!r}).write_text('x')),\n"
        "        ('socket', lambda: __import__('socket').socket()),\n"
        "        ('film', lambda: Path(job.film).read_bytes()[:1]),\n"
        "        ('own', lambda: (Path(job.folder) / 'x').write_text('x')),\n"
        "    ):\n"
        "        try:\n"
        "            act(); tried[name] = True\n"
        "        except OSError: tried[name] = False\n"
        "    return tried\n"
        "w.work = work\n"
        "sys.exit(w.main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], input=json.dumps(job._asdict()) + "\n",
        capture_output=True, text=True, env=child_environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    tried = json.loads(done.stdout.splitlines()[-1])["entry"]
    if "lacks one layer" in done.stderr:
        pytest.skip("this kernel has no Landlock")
    assert tried == {"read": False, "write": False, "socket": False, "film": True, "own": True}
