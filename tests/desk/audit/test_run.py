"""The whole audit of both real processes, and its errors."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import cv2
import pytest

from agent.base.assets import CLIP
from agent.desk.audit import _kernels, run
from agent.desk.audit._artifacts import AuditError, Evidence, Finding
from agent.desk.audit._detect import Detected
from agent.desk.audit._reference import Reference
from agent.desk.audit.recording import Processes
from agent.perceive.capture.video_file import VideoFile
from tests.desk.audit.clip import frames, write


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(tmp_path / "clouds.mkv", frames(30))


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is missing")
@pytest.mark.slow
def test_the_real_agent_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A visitor of the demo's clip, seen by the real agent."""
    seen = [frame.luma for frame, _ in zip(VideoFile(CLIP), range(80), strict=False)]
    visitor = write(tmp_path / "visitor.mkv", seen[50:], fps=30.0)
    keep = tmp_path / "evidence"
    code = run.audit(visitor, as_json=True, keep=keep)
    report = json.loads(capsys.readouterr().out)
    assert (report["verdict"], report["findings"], report["unseen"]) == ("pass", [], [])
    assert code == 0
    assert report["canary"] == "strong"
    assert report["frames_searched"] == 30
    assert report["arrived"] == report["released"] == report["messages"]["summary"] >= 1
    assert report["planted"] == 8
    assert report["blind"] == []
    assert report["voice"]["planted"]
    assert report["voice"]["bytes_searched"] > 10_000
    assert report["voice"]["stretches_compared"] > 0
    assert not (keep / "played.mkv").exists()
    kinds = {each["what"]: each["bytes"] for each in report["examined"]}
    assert kinds["uplink to broker"] > 500
    assert kinds["outbox's journal"] > 4096
    assert json.loads((keep / "report.json").read_text()) == report
    assert (keep / "perceive.log").is_file()


FOUND = Finding("pixels", "a file", 0, "a picture")
PNG = cv2.imencode(".png", frames(1)[0])[1].tobytes()


@pytest.mark.parametrize(
    ("name", "content"),
    [("video.mp4", b""), ("video.mp4", b"no video at all " * 50), ("picture.png", PNG)],
)
def test_what_is_no_video_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AuditError, match=name) as refused:
        run.audit(tmp_path / name, as_json=True, keep=None)
    assert refused.value.exit_code == 2


@pytest.mark.slow
def test_without_strace_the_audit_is_not_complete(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert run.audit(clip, as_json=False, keep=None) == 2
    said = capsys.readouterr().out
    assert "INCOMPLETE" in said
    assert "sudo apt install strace" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("perceive", "why"),
    [
        (
            "import sys; sys.exit('the camera fell down')",
            "perceive ended early, with code 1.*the camera fell down",
        ),
        ("pass", "released nothing"),
    ],
)
def test_a_process_that_fails_or_releases_nothing_is_no_pass(
    perceive: str,
    why: str,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(_kernels, "fill", lambda folder, environment: None)  # nobody needs kernels
    waits = (sys.executable, "-c", "import time; time.sleep(60)")
    code = run.audit(
        clip, as_json=True, keep=None, processes=Processes((sys.executable, "-c", perceive), waits)
    )
    report = json.loads(capsys.readouterr().out)
    assert code == {"fail": 1, "incomplete": 2}[report["verdict"]]
    assert any(re.search(why, each) for each in report["unseen"])


def test_evidence_is_not_mixed_with_other_files(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(AuditError, match="not empty"):
        run.audit(clip, as_json=True, keep=tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [clip.name]


@pytest.mark.parametrize(
    ("findings", "missed", "unseen", "verdict", "code"),
    [
        ([], [], [], "pass", 0),
        ([FOUND], [], [], "fail", 1),
        ([], ["pixels in a log (numbers)"], [], "incomplete", 2),
        ([], [], ["files changed faster than they could be watched"], "incomplete", 2),
        ([FOUND], ["pixels in a log (numbers)"], ["too large"], "fail", 1),
    ],
)
def test_verdicts(
    findings: list[Finding],
    missed: list[str],
    unseen: list[str],
    verdict: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    detected = Detected(findings, 4, missed, packets=1, messages={}, grams=0)
    evidence = Evidence([], "audit", 1, 1, frozenset(), unseen=unseen)
    outcome = run.Outcome(Path("x"), evidence, detected, Reference(Path("x")), 1.0, 1.0)
    monkeypatch.setattr(run, "_run", lambda *_: outcome)
    assert run.audit(Path("x"), as_json=True, keep=None) == code
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"] == verdict
    assert len(report["unseen"]) == len(unseen) + bool(missed)
    assert run.audit(Path("x"), as_json=False, keep=None) == code
    said = capsys.readouterr().out
    assert verdict.upper() in said
    assert all(each in said for each in (*missed, *unseen))
