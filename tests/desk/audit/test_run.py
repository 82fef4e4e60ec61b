"""The whole audit on the real two processes, and every way in which it cannot be carried out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import pytest

from agent.base.assets import CLIP
from agent.base.errors import CaptureError
from agent.desk.audit import record, run
from agent.desk.audit.evidence import AuditError
from agent.desk.audit.record import Processes
from agent.perceive.capture.video_file import VideoFile
from tests.desk.audit.clip import frames, write


def half(code: str) -> tuple[str, ...]:
    """A process that does this instead of being the agent's."""
    return (sys.executable, "-c", code)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("clip") / "clouds.mkv", frames(30))


def test_the_honest_agent_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A visitor of the demo's clip, seen by the real agent."""
    seen = [frame.luma for frame, _ in zip(VideoFile(CLIP), range(110), strict=False)]
    visitor = write(tmp_path / "visitor.mkv", seen[50:], fps=30.0)
    keep = tmp_path / "evidence"
    code = run.audit(visitor, as_json=True, keep=keep)
    report = json.loads(capsys.readouterr().out)
    assert (report["verdict"], report["findings"], report["blind"]) == ("pass", [], [])
    assert code == 0
    assert report["canary"] == "strong"
    assert report["frames_searched"] == 60
    assert report["arrived"] == report["released"] == report["messages"]["summary"] >= 1
    assert report["planted"] == 4
    kinds = {each["what"]: each["bytes"] for each in report["examined"]}
    assert kinds["uplink to broker"] > 500
    assert kinds["outbox's journal"] > 4096
    assert json.loads((keep / "report.json").read_text()) == report
    assert (keep / "perceive.log").is_file()


@pytest.mark.parametrize("content", [b"", b"no video at all " * 50])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=r"video\.mp4"):
        run.audit(path, as_json=True, keep=None)


def test_a_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), frames(1)[0])
    with pytest.raises(CaptureError, match="single image"):
        run.audit(path, as_json=True, keep=None)


def test_a_process_that_dies_is_no_pass(clip: Path) -> None:
    died = half("import sys; sys.exit('the camera fell down')")
    waits = half("import time; time.sleep(60)")
    with pytest.raises(AuditError, match=r"perceive ended with code 1.*the camera fell down"):
        run.audit(clip, as_json=True, keep=None, processes=Processes(died, waits))


def test_a_process_that_says_nothing_is_no_pass(clip: Path) -> None:
    silent, waits = half("pass"), half("import time; time.sleep(60)")
    with pytest.raises(AuditError, match="released nothing"):
        run.audit(clip, as_json=True, keep=None, processes=Processes(silent, waits))


def test_evidence_is_not_mixed_with_other_files(tmp_path: Path, clip: Path) -> None:
    (tmp_path / "mine").write_text("keep me")
    with pytest.raises(AuditError, match="not empty"):
        run.audit(clip, as_json=True, keep=tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["mine"]


def test_an_audit_that_cannot_see_is_no_pass() -> None:
    from agent.desk.audit.canary import Canary
    from agent.desk.audit.evidence import Evidence
    from agent.desk.audit.examine import Examined

    outcome = run.Outcome(
        Path("x"), Evidence([], "audit", 1, 1, frozenset()), Examined(), Canary(Path("x")), (),
        ("pixels in a log (numbers)",), 4, 1.0, 1.0,
    )  # fmt: skip
    assert not outcome.passed
    assert run.as_dict(outcome)["verdict"] == "fail"


def test_only_known_files_are_expected(tmp_path: Path) -> None:
    for name in ("outbox.db", "outbox.db-wal", "outbox.db.lock", "receipt.key", "settings.json"):
        assert record._expected(tmp_path / "outbox" / name, tmp_path, 5000), name
    for name in ("preview.jpg", "outbox.db.bak", "outbox.db-wal2", "perceive.log"):
        assert not record._expected(tmp_path / "outbox" / name, tmp_path, 5), name
    assert record._expected(tmp_path / "tmp" / "abcd1234", tmp_path, 4)
    assert not record._expected(tmp_path / "tmp" / "abcd1234", tmp_path, 5)
