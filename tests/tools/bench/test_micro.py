"""The micro-expression benchmark: rules, conditions, a researcher's own tracks, the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.desk.spot.track import TrackError
from tools.bench import __main__ as bench
from tools.bench.micro.baselines import peers
from tools.bench.micro.conditions import FALLS, Condition, falls_on, run_track
from tools.bench.micro.measure import report
from tools.bench.micro.picture import draw
from tools.bench.micro.signals import aligned, tidy
from tools.bench.micro.subject import Found, Subject
from tools.bench.micro.tables import micro_text
from tools.bench.micro.truth import measure_truth, read_truth, truth_text
from tools.common.errors import ToolError
from tools.common.files import MODELS
from tools.common.machine import machine
from tools.micro.generator_config import GeneratorConfig
from tools.micro.movements import Event
from tools.micro.score import score
from tools.micro.tracks import Track, make

WEIGHTS = MODELS / "micro" / "weights.npz"
STILL = GeneratorConfig(head_angle=0.0, head_shift=0.0, tremor=0.0, idle=0.0, jitter=0.0)


@pytest.fixture(scope="module")
def rows() -> Any:
    cells = [Condition(), Condition(fps=60.0), Condition(events=0)]
    return [row for cell in cells for row in run_track(cell, 20_000, True, WEIGHTS)]


def obvious() -> Track:
    """One large movement of the brows on a still face, nothing else."""
    config = replace(STILL, amplitude=(0.05, 0.05), drop=0.0, burst_rate=0.0)
    for seed in range(100):
        track = make(seed, seconds=20.0, noise=0.0005, events=1, distractors=0.0, config=config)
        event = track.micro[0]
        if event.units == ("AU04",) and 0.3 < event.offset - event.onset < 0.45:
            break
    return track


@pytest.mark.parametrize("rule", peers(), ids=lambda rule: rule.name)
def test_each_rule_finds_an_obvious_movement(rule: Subject) -> None:
    track = obvious()
    found = rule(track.timestamps, track.landmarks, track.confidence).found
    assert len(score(track.micro, found, 1.0).pairs) == 1
    # ... and, with its global threshold, not everything.
    assert len(found) < 12


@pytest.mark.parametrize("rule", peers(), ids=lambda rule: rule.name)
def test_rules_survive_tracks_without_faces_and_short_ones(rule: Subject) -> None:
    track = make(1, seconds=4.0, events=0)
    nowhere = np.zeros_like(track.confidence)
    assert rule(track.timestamps, track.landmarks, nowhere).found == []
    assert rule(track.timestamps[:3], track.landmarks[:3], track.confidence[:3]).found == []


def test_alignment_removes_a_similarity() -> None:
    points = np.asarray(make(2, seconds=1.0, events=0, noise=0.0).landmarks, np.float64)
    turn = 0.4
    matrix = 1.7 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    np.testing.assert_allclose(aligned(points @ matrix.T + 30.0), aligned(points), atol=1e-9)


def test_tidy_is_even_and_knows_gaps() -> None:
    track = make(3, seconds=6.0, events=0)
    confidence = track.confidence.copy()
    confidence[60:90] = 0.0
    times, points, good = tidy(track.timestamps, track.landmarks, confidence)
    assert points.shape == (len(times), 68, 2)
    assert np.ptp(np.diff(times)) < 1e-9
    middle = np.abs(times - track.timestamps[75]) < 0.2
    assert not good[middle].any()
    assert good[times < 1.5].all()


def test_false_alarms_are_laid_where_something_happened() -> None:
    track = replace(
        make(0, seconds=1.0, events=0),
        micro=[Event(10.0, 10.2, 10.4, 0.02, ("AU04",))],
        macro=[Event(20.0, 21.0, 22.0, 0.1, ("AU12",))],
        blinks=[Event(30.0, 30.1, 30.3, 0.08, ()), Event(41.0, 41.1, 41.3, 0.08, ())],
        speech=[(40.0, 42.0)],
        gaze=[(46.0, 46.05)],
        head=[(50.0, 51.0)],
        glitches=[55.0],
    )

    def at(time: float) -> str:
        return falls_on(Found(time - 0.2, time, time + 0.2), track)

    places = [10.5, 21.0, 41.0, 30.0, 55.1, 46.1, 50.5, 35.0]
    assert tuple(at(time) for time in places) == FALLS


@pytest.mark.slow
def test_rows_and_report(rows: Any, tmp_path: Path) -> None:
    names = {row.subject for row in rows}
    assert names == {"ours", "differencing", "MDMD", "OF-FD"}
    assert all(len(row.hits) == row.condition.events for row in rows)
    found = report(rows, machine(), [20_000], "0123")
    assert len(found["conditions"]) == 12
    quiet = [cell for cell in found["conditions"] if not cell["events"]]
    assert all(cell["f1"]["value"] in (None, 0.0) for cell in quiet)
    for cell in found["conditions"]:
        assert cell["found"] - cell["hits"] == sum(cell["falls"].values())
        assert cell["subject"] == "ours" or cell["latency"] is None
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert {"synthetic", "mdmd"} <= set(micro_text(found).lower().split())
    draw(found, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "chart.png"
    given = ["micro", "--quick", "--tracks", "2", "--workers", "1", "--no-peers", "--json"]
    assert bench.main([*given, "--weights", str(WEIGHTS), "--picture", str(picture)]) == 0
    out = capsys.readouterr().out
    found = json.loads(out.splitlines()[-1])
    assert found["tracks"] == 2
    assert {cell["subject"] for cell in found["conditions"]} == set(found["subjects"])
    assert all(cell["minutes"] == 2.0 for cell in found["conditions"])
    assert picture.stat().st_size > 10_000


def saved(folder: Path, seed: int, name: str) -> Track:
    track = make(seed, seconds=20.0, noise=0.001, events=3)
    track.confidence[40:44] = np.nan
    kept = ("timestamps", "landmarks", "confidence")
    np.savez(folder / f"{name}.npz", **{key: getattr(track, key) for key in kept})
    return track


def test_own_tracks_are_scored(tmp_path: Path) -> None:
    lines = ["track,onset,apex,offset,kind"]
    for seed, name in ((1, "s01_a"), (2, "s02_a")):
        track = saved(tmp_path, seed, name)
        lines += [f"{name},{e.onset},{e.apex},{e.offset}, Micro" for e in track.micro]
        lines += [f"{name}.npz,{e.onset},,{e.offset},macro" for e in track.macro]
    truth = tmp_path / "events.csv"
    truth.write_text("\n".join([*lines, ""]), encoding="utf-8")
    files = sorted(tmp_path.glob("*.npz"))
    found = measure_truth(truth, files, True, WEIGHTS)
    assert found["tracks"] == 2
    assert found["coded"]["micro"] == 6
    for row in found["subjects"].values():
        assert row["truths"] == 6
        assert row["found"] - row["hits"] == sum(row["falls"].values())
    assert "6 micro-" in truth_text(found)
    command = ["micro", "--truth", str(truth), *map(str, files), "--weights", str(WEIGHTS)]
    assert bench.main([*command, "--no-peers"]) == 0


HEADER = "track,onset,apex,offset,kind\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the header is empty"),
        ("track,onset,offset\na,1,2\n", "line 1: the header is track,onset,offset"),
        (HEADER, "no row"),
        (HEADER + "a,1,1.2,1.4,micro\na,x,1,2,micro\n", "line 3: onset is 'x'"),
        (HEADER + "a,1,1.2,,micro\n", "line 2: offset is ''"),
        (HEADER + "a,1,1.2,nan,micro\n", "line 2: offset is 'nan'"),
        (HEADER + "a,1,1.2,0,micro\n", "line 2: offset 0 is not after onset 1"),
        (HEADER + "\na,1,1.9,1.4,micro\n", "line 3: apex 1.9 is not between"),
        (HEADER + "a,1,1.2,1.4,tiny\n", "line 2: kind is 'tiny'"),
        (HEADER + ",1,1.2,1.4,micro\n", "line 2: no track"),
        (HEADER + "a,1,1.2,1.4\n", "line 2: 4 cells under a header of 5"),
        (HEADER + "a,1,1.2,1.4,\na,1,1.3,1.4,micro\n", "line 3: the same movement as in line 2"),
    ],
)
def test_bad_codings_are_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ToolError, match=message):
        read_truth(path)


def test_good_codings(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("\ufeffOnset,track,offset,apex\n1.5,s 1.npz,2,\n", encoding="utf-8")
    (row,) = read_truth(path)
    assert (row.track, row.onset, row.offset, row.kind, row.line) == ("s 1", 1.5, 2.0, "micro", 2)
    assert np.isnan(row.apex)


@pytest.mark.parametrize(
    ("row", "tracks", "message"),
    [
        ("two,1,1.2,1.4", ["one"], "line 2: track 'two' is not among"),
        ("one,301,310,320", ["one"], r"line 2: .* lies outside .* frame rate"),
        ("one,1,1.2,1.4", ["one", "folder/one"], "same name"),
        ("bad,1,1.2,1.4", ["bad"], "bad.npz"),
    ],
)
def test_codings_and_tracks_belong_together(
    row: str, tracks: list[str], message: str, tmp_path: Path
) -> None:
    saved(tmp_path, 1, "one")
    (tmp_path / "bad.npz").write_bytes(b"no track")
    truth = tmp_path / "events.csv"
    truth.write_text(f"track,onset,apex,offset\n{row}\n", encoding="utf-8")
    with pytest.raises((ToolError, TrackError), match=message):
        measure_truth(truth, [tmp_path / f"{name}.npz" for name in tracks], False, WEIGHTS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tracks", "100000"], "test seeds"),
        (["--truth", "nowhere.csv"], "at least one TRACK.npz"),
        (["--truth", "nowhere.csv", "a.npz"], "nowhere.csv cannot be read"),
    ],
)
def test_wrong_words(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["micro", *words]) != 0
    assert said in capsys.readouterr().err
