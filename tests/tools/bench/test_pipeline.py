"""The benchmark measures what it says it measures."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agent.base.assets import CLIP
from tools.bench import __main__ as bench
from tools.bench.pipeline import peer_python, stages
from tools.bench.pipeline.frames import Decoded, decode, fit
from tools.bench.pipeline.measure import Options, Subject, Totals, measure
from tools.bench.pipeline.worker import peak_rss_mib
from tools.common import command
from tools.common.errors import ToolError
from tools.common.machine import machine, slug
from tools.train.lite import multiply_accumulates

TINY = Path(__file__).resolve().parents[2] / "golden" / "tiny"
TINY_MACS = 8 * 8 * 4 * 9 + 4 * 4 * 8 * 36 + 4 * 4 * 2 * 8 + 128 * 6
"""Two convolutions, the map and the head of `make_tiny.Tiny`, counted by hand."""


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Six frames, each of one brightness, 64x48 at 20 frames/s; lossless."""
    path = tmp_path / "six.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), 20.0, (64, 48))
    for level in range(0, 60, 10):
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    return path


@pytest.fixture
def decoded(video: Path, tmp_path: Path) -> Decoded:
    return decode(video, tmp_path, 100, None, None)


def known(decoded: Decoded, **options: Any) -> Subject:
    return Subject(sys.executable, "tests.tools.bench.subject", decoded, False, options)


def test_both_sides_get_the_same_pictures(decoded: Decoded) -> None:
    assert (decoded.count, decoded.height, decoded.width, decoded.fps) == (6, 48, 64, 20.0)
    grey = np.fromfile(decoded.grey, np.uint8).reshape(6, 48, 64)
    rgb = np.fromfile(decoded.rgb, np.uint8).reshape(6, 48, 64, 3)
    assert np.abs(grey[:, 20, 20].astype(int) - np.arange(0, 60, 10)).max() <= 2
    assert np.abs(rgb.astype(int) - grey[..., None]).max() <= 2


def test_at_most_as_many_frames_as_asked(video: Path, tmp_path: Path) -> None:
    assert decode(video, tmp_path, 4, (32, 32), 50.0).count == 4
    assert (tmp_path / "grey.raw").stat().st_size == 4 * 32 * 32


def test_scaling_keeps_proportions_and_centres() -> None:
    fitted = fit(np.full((50, 100, 3), 200, np.uint8), (64, 64))
    rows = np.flatnonzero(fitted[:, 32, 0])
    assert (rows[0], rows[-1]) == (16, 47)
    assert fitted[32].min() == 200


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.avi"
    path.write_text("no video", encoding="utf-8")
    with pytest.raises(ToolError, match="no frame that can be decoded"):
        decode(path, tmp_path, 10, None, None)


def test_cpu_time_counts_the_subject_s_threads(decoded: Decoded) -> None:
    with known(decoded, own=0.02, thread=0.03) as subject:
        subject.run(0, 2, counted=False)
        subject.run(2, 6)
        totals = subject.finish()
    assert totals.frames == totals.faces == 4
    # 50 ms asked for; starting threads and their clocks' grain cost little beside that
    assert 50.0 <= totals.cpu_ms < 75.0
    assert totals.chunk_cpu == [pytest.approx(totals.cpu / 4)]


def test_frames_wrap_round_and_time_goes_on(decoded: Decoded) -> None:
    with known(decoded) as subject:
        subject.run(5, 8)
        stages = subject.finish().stages
    grey = np.fromfile(decoded.grey, np.uint8).reshape(6, 48, 64)[:, 0, 0].astype(float)
    assert stages["first_pixel"] == grey[5] + grey[0] + grey[1]
    assert stages["seconds"] == pytest.approx((5 + 6 + 7) / 20.0)


@pytest.mark.slow
def test_memory_is_the_subject_s_own(decoded: Decoded) -> None:
    ballast = np.ones(300 << 20, np.uint8)
    with known(decoded) as light, known(decoded, hold_mib=80) as heavy:
        small, large = light.finish().peak_rss_mib, heavy.finish().peak_rss_mib
    assert large - small == pytest.approx(80, abs=8)
    assert small < 200 < ballast.nbytes >> 20
    assert peak_rss_mib() > 300


@pytest.mark.parametrize(
    ("option", "said"), [("fail", "ValueError: blurred"), ("crash", "out of film")]
)
def test_a_subject_that_fails_gives_no_figure(decoded: Decoded, option: str, said: str) -> None:
    with known(decoded, **{option: True}) as subject, pytest.raises(ToolError, match=said):
        subject.run(0, 1)


def test_totals_are_sums_over_chunks() -> None:
    totals = Totals("x")
    totals.add(10, {"cpu": 0.1, "wall": 0.2, "faces": 10, "stages": {"a": 0.05}})
    totals.add(30, {"cpu": 0.5, "wall": 0.6, "faces": 29, "stages": {"a": 0.15, "b": 0.1}})
    assert totals.cpu_ms == pytest.approx(15.0)
    assert totals.stages == {"a": pytest.approx(0.2), "b": 0.1}
    assert min(totals.chunk_cpu) == pytest.approx(0.01)


@pytest.mark.slow
def test_pipeline_report_over_the_bundled_clip(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["pipeline", "--video", str(CLIP), "--frames", "60", "--json"]
    assert bench.main(argv) == 0
    out = capsys.readouterr().out
    report = json.loads(out.splitlines()[-1])
    assert "outside model calls" in out
    assert report["frames"] == 60
    assert report["faces_per_frame"] > 0.3
    assert 0.0 < report["outside_model_share"] < 1.0
    # no thread of ours may spin between its tasks, as OpenCV's do unless told otherwise
    assert 0.05 < report["cpu_ms_per_frame"] < 1.3 * 1e3 / report["fps"]
    assert 50 < report["peak_rss_mib"] < 400
    assert report["cpu_ratio"] is report["peer_cpu_ms_per_frame"] is None
    whole = report["stage_ms"].pop("all")
    inside = sum(ms for name, ms in report["stage_ms"].items() if name.startswith("model."))
    stages = sum(ms for name, ms in report["stage_ms"].items() if not name.startswith("model."))
    assert 0.0 < inside < stages < whole < 2 * report["cpu_ms_per_frame"], "in processes of its own"
    assert report["outside_model_share"] == pytest.approx(1.0 - inside / whole, abs=0.005)


def test_models_report_counts_operations(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["models", "--models", str(TINY), "--runs", "20", "--json"]) == 0
    out = capsys.readouterr().out
    rows = json.loads(out.splitlines()[-1])["models"]
    assert [row["model"] for row in rows] == ["tiny", "tiny_float"]
    for row in rows:
        content = (TINY / f"{row['model']}.tflite").read_bytes()
        assert multiply_accumulates(content) == TINY_MACS
        assert row["mmac"] == round(TINY_MACS / 1e6, 2)
        fastest = TINY_MACS / row["ms_1_thread_min"] / 1e6
        assert row["gmac_per_s"] == pytest.approx(fastest, abs=0.06)
        assert 0 < row["ms_1_thread_min"] <= row["ms_1_thread"]
        assert row["kib"] == pytest.approx(len(content) / 1024, abs=0.06)


def test_results_are_stored_without_paths_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "REFERENCE", tmp_path / "reference")
    assert bench.main(["models", "--models", str(TINY), "--runs", "5", "--save"]) == 0
    (stored,) = (tmp_path / "reference").iterdir()
    text = stored.read_text(encoding="utf-8")
    assert "python -m tools.bench models --models FOLDER --runs 5\n" in text
    assert str(TINY.parent) not in text
    record = json.loads(text.split("```json\n")[1].split("\n```")[0])
    assert record["machine"]["name"] in text.splitlines()[0]


def test_the_machine_is_named() -> None:
    assert machine()["name"]
    board = {**machine(), "name": "Raspberry Pi 5 Model B Rev 1.0", "cores": 4}
    assert slug(board) == "raspberry-pi-5-model-b-rev-1-0-4c"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Options(TINY / "manifest.toml", peer=True, python=Path("/bin/false")), "cannot import"),
        (Options(TINY / "manifest.toml", task=Path("absent.task")), "absent.task does not exist"),
    ],
)
def test_what_cannot_be_measured_is_said(options: Options, said: str) -> None:
    with pytest.raises(ToolError, match=said):
        measure(options)


@pytest.mark.parametrize("options", [[], ["--stages"]])
def test_a_missing_video_is_one_line(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["pipeline", "--video", "absent.mp4", *options]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "bench: absent.mp4 does not exist. Check the path.\n"


def test_no_python_for_the_peer_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peer_python, "FOLDER", tmp_path / "peer")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"needs Python 3\.9 to 3\.12"):
        peer_python.peer_python(None)
    assert not (tmp_path / "peer").exists()


def test_own_times_leave_out_the_calls_inside() -> None:
    watches = stages.Stopwatches()

    def work() -> int:
        return sum(range(200_000))

    inner = watches.timed(work, "inner")
    outer = watches.timed(lambda: inner() + inner(), "outer")
    assert outer() == 2 * work()
    assert [len(watches.seconds[name]) for name in ("inner", "outer")] == [2, 1]
    assert watches.seconds["outer"][0] < min(watches.seconds["inner"])
    watches.clear()
    assert watches.seconds == {"inner": [], "outer": []}


def test_stages_are_those_of_the_pipeline_and_leave_it_as_it_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = [getattr(owner, name) for owner, name, _ in stages.TIMED]
    video = str(CLIP)
    assert bench.main(["pipeline", "--video", video, "--frames", "60", "--stages", "--json"]) == 0
    assert [getattr(owner, name) for owner, name, _ in stages.TIMED] == before
    text = capsys.readouterr().out
    report = json.loads(text.splitlines()[-1])
    names = {row["stage"] for row in report["stages"]}
    assert {"model.detector", "detect: decoding", "track: the rest", "pipeline"} <= names
    for row in report["stages"]:
        product = row["us_per_call"] * row["calls_per_frame"]
        assert row["us_per_frame"] == pytest.approx(product, rel=0.05, abs=0.5)
    whole = sum(row["us_per_frame"] for row in report["stages"])
    parts = report["outside_us_per_frame"] + report["inside_us_per_frame"]
    assert whole == pytest.approx(parts, rel=0.01)
    assert "us per frame" in text
