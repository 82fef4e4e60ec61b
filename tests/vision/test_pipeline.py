"""The real models on the bundled clip, with its ground truth."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from agent.base.assets import CLIP
from agent.base.config import AgentConfig, Polygon
from agent.base.errors import ModelError
from agent.base.report import HeardSummary
from agent.base.settings_file import parse
from agent.base.types import EXPRESSIONS, Frame, Infer
from agent.cli import main
from agent.inference.manifest import Manifest, models_folder
from agent.inference.tflite import open_model
from agent.perceive.capture.video_file import VideoFile
from agent.privacy.zones import StaffZones
from agent.vision.faces.align import MEAN_SHAPE
from agent.vision.pipeline import Pipeline

Trace = dict[str, NDArray[Any]]


class Replayed(NamedTuple):
    """`fleeting replay` of the whole clip."""

    lines: list[str]
    trace: Trace
    picture: Path


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    folder = tmp_path_factory.mktemp("replayed")
    trace, picture = folder / "trace.npz", folder / "timeline.png"
    with redirect_stdout(io.StringIO()) as out:
        arguments = ["--json", "--trace", str(trace), "--plot", str(picture)]
        assert main(["replay", str(CLIP), *arguments]) == 0
    with np.load(trace) as arrays:
        return Replayed(out.getvalue().splitlines(), dict(arrays), picture)


@pytest.fixture(scope="module")
def trace(replayed: Replayed) -> Trace:
    return replayed.trace


SCRIPT: dict[str, list[dict[str, Any]]] = json.loads(CLIP.with_name("clip.json").read_text())
VISITORS = SCRIPT["visitors"]


def _events(kind: str) -> list[dict[str, Any]]:
    return [event for event in SCRIPT["events"] if event["kind"] == kind]


def _main_tracks(trace: Trace) -> list[int]:
    """The tracks in view for at least three seconds."""
    ids, rows = np.unique(trace["track_id"], return_counts=True)
    return [int(i) for i, n in zip(ids, rows, strict=True) if n >= 90]


@pytest.mark.slow
def test_every_visitor_has_one_track_of_its_own(trace: Trace) -> None:
    tracks = _main_tracks(trace)
    assert len(tracks) == len(VISITORS) == 4
    for track, visitor in zip(tracks, VISITORS, strict=True):
        times = trace["time"][trace["track_id"] == track]
        settled = (times >= visitor["settled"]) & (times <= visitor["leave"])
        length = 30 * (visitor["leave"] - visitor["settled"])
        assert settled.sum() >= 0.95 * length, "found in 95 % of the frames that show the face"


@pytest.mark.slow
def test_landmarks_have_the_size_of_the_face(trace: Trace) -> None:
    for track, visitor in zip(_main_tracks(trace), VISITORS, strict=True):
        points = trace["landmarks"][trace["track_id"] == track]
        iod = np.median(np.hypot(*(points[:, 45] - points[:, 36]).T))
        assert iod == pytest.approx(visitor["iod"], rel=0.12)


@pytest.mark.slow
def test_smiles_are_seen_when_they_are_shown(trace: Trace) -> None:
    happiness = trace["expression"][:, EXPRESSIONS.index("happiness")]
    lips = trace["action_units"][:, list(trace["action_unit_names"]).index("AU12")]
    for event in _events("smile"):
        track = _main_tracks(trace)[_rank(event)]
        mine = trace["track_id"] == track
        shown = mine & (trace["time"] > event["apex"]) & (trace["time"] < event["offset"] - 0.5)
        before = mine & (trace["time"] > event["onset"] - 1) & (trace["time"] < event["onset"])
        assert np.nanmean(happiness[shown]) > np.nanmean(happiness[before]) + 0.1
        assert np.nanmean(lips[shown]) > np.nanmean(lips[before]) + 0.1


@pytest.mark.slow
def test_a_turned_head_is_not_attentive_in_the_direction_it_turns(trace: Trace) -> None:
    for event in _events("turn"):
        mine = trace["track_id"] == _main_tracks(trace)[_rank(event)]
        held = mine & (trace["time"] > event["apex"]) & (trace["time"] < event["offset"] - 0.6)
        yaw = np.median(trace["pose"][held, 0])
        assert np.sign(yaw) == np.sign(event["details"]["yaw"])
        assert abs(yaw) > 0.4 * abs(event["details"]["yaw"])


def _rank(event: dict[str, Any]) -> int:
    return [visitor["visitor"] for visitor in VISITORS].index(event["visitor"])


@pytest.mark.slow
def test_stabilised_landmarks_are_steadier_than_the_network_s(trace: Trace) -> None:
    mine = trace["track_id"] == _main_tracks(trace)[0]
    iod = VISITORS[0]["iod"]
    rest = mine & (trace["time"] > 6.0) & (trace["time"] < 7.0)
    steady = np.abs(np.diff(trace["landmarks"][rest], axis=0)).mean() / iod
    raw = np.abs(np.diff(trace["landmarks_raw"][rest], axis=0)).mean() / iod
    # in half of the frames the network rests, and its answer is carried along
    assert steady < 0.85 * raw


@pytest.mark.slow
def test_replay_prints_summaries_of_the_published_form(replayed: Replayed) -> None:
    summaries = [HeardSummary.model_validate_json(line) for line in replayed.lines]
    assert sum(summary.visits or 0 for summary in summaries) >= 4
    starts = [summary.window.offset or 0 for summary in summaries]
    assert starts == sorted(set(starts))
    assert replayed.trace["landmarks"].shape[1:] == (68, 2)
    assert len(replayed.trace["frame_time"]) == 1440
    assert cv2.imread(str(replayed.picture)) is not None


@pytest.mark.slow
def test_replay_loads_no_mqtt_client() -> None:
    program = "import sys, agent.desk.replay; sys.exit('paho' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_where_expression_may_not_be_read_it_is_not_computed() -> None:
    pipeline = Pipeline(AgentConfig(), expressions=False)
    seen = 0
    for frame in VideoFile(CLIP):
        if frame.time > 3:
            break
        perceived = pipeline(frame)
        seen += len(perceived.faces)
        assert all(face.expression is None for face in perceived.faces)
        assert perceived.micro == ()
        assert "model.expression" not in perceived.stage_seconds
    assert seen > 20


def _seen(speech: float | None, seconds: float) -> list[tuple[Any, ...]]:
    """What the pipeline says of the clip's beginning, face by face; pictures of speech apart."""
    pipeline, out = Pipeline(AgentConfig()), []
    for frame in VideoFile(CLIP):
        if frame.time > seconds:
            break
        perceived = pipeline(frame, speech)
        for face in perceived.faces:
            said = face.expression
            assert said is not None or not face.expression_is_new
            read = () if said is None else (*said.probabilities.tolist(), said.unsure)
            out.append((frame.time, face.track_id, *face.landmarks.points.ravel()[:4], *read))
        out += [(frame.time, event) for event in perceived.micro]
    return [*out, *((event,) for event in pipeline.finish())]


@pytest.mark.slow
@pytest.mark.slow
def test_while_restricted_one_face_is_read_and_no_movement_looked_for() -> None:
    """Two visitors are in view from 13.7 to 17.6 s."""
    pipeline = Pipeline(AgentConfig())
    counts: dict[bool, list[int]] = {True: [], False: []}
    reasons: set[str | None] = set()
    for frame in VideoFile(CLIP):
        if frame.time < 14.0:
            continue
        if frame.time > 15.4:
            break
        restricted = frame.time >= 15.0
        if restricted and not counts[True]:
            pipeline.restrict(1, spotting=False)
        found = pipeline(frame)
        counts[restricted].append(len(found.faces))
        if restricted:
            reasons |= {face.micro.reason for face in found.faces}
            assert found.faces[0].box[2] - found.faces[0].box[0] > 150, "the first, who is nearer"
    assert counts[False][-1] == 2
    assert set(counts[True]) == {1}
    assert reasons == {"fps_too_low"}


def test_only_speech_changes_what_is_seen() -> None:
    unheard = _seen(None, 9)
    assert _seen(0.0, 9) == unheard
    spoken = _seen(1.0, 9)
    assert [row[:6] for row in spoken if len(row) > 2] == [r[:6] for r in unheard if len(r) > 2]
    assert spoken != unheard, "expressions are steadied"


@pytest.fixture(scope="module")
def still() -> NDArray[np.uint8]:
    """A frame with one face, about 185 pixels wide, centred at x = 206, y = 226."""
    return next(frame.luma for frame in VideoFile(CLIP) if frame.time > 4)


class _Spied:
    """Opens models that remember every picture they are shown."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[tuple[str, bytes]] = []
        monkeypatch.setattr("agent.vision.pipeline.open_model", self._open)

    def _open(self, manifest: Manifest, name: str) -> Infer:
        infer = open_model(manifest, name)

        def spy(picture: NDArray[np.uint8]) -> Mapping[str, Any]:
            self.shown.append((name, picture.tobytes()))
            return infer(picture)

        return spy


def test_no_model_is_shown_what_lies_in_a_staff_zone(
    monkeypatch: pytest.MonkeyPatch, still: NDArray[np.uint8]
) -> None:
    """The same pictures reach every model, whoever stands in the zone."""
    spied = _Spied(monkeypatch)
    zone = ((0.1, 0.1), (0.55, 0.1), (0.55, 0.9), (0.1, 0.9))
    face = still.copy()
    face[:, 380:] = still[:, 110:370]  # the same face again, to the right of the zone
    nobody, noise = face.copy(), face.copy()
    nobody[48:432, 64:352] = 120
    noise[48:432, 64:352] = np.random.default_rng(0).integers(0, 255, (384, 288))
    shown = []
    for picture in (face, nobody, noise):
        pipeline = Pipeline(AgentConfig(), zones=StaffZones([zone]))
        spied.shown.clear()
        for i in range(6):
            perceived = pipeline(Frame(i / 30, picture))
            assert [round(f.box[[0, 2]].mean() / 20) for f in perceived.faces] == [24]
        shown.append(list(spied.shown))
    assert {name for name, _ in shown[0]} == {"detector", "landmarks", "expression"}
    assert shown[0] == shown[1] == shown[2]


@pytest.mark.parametrize(
    ("zone", "faces"),
    [
        (((0.0, 0.0), (0.4, 0.0), (0.4, 1.0), (0.0, 1.0)), 0),
        (((0.30, 0.40), (0.36, 0.40), (0.36, 0.52), (0.30, 0.52)), 0),
        (((0.0, 0.0), (0.22, 0.0), (0.22, 1.0), (0.0, 1.0)), 1),
        (((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)), 1),
    ],
    ids=["half in", "only the centre in", "an ear in", "beside"],
)
def test_a_face_is_dropped_when_its_centre_is_in_a_zone(
    zone: Polygon, faces: int, still: NDArray[np.uint8]
) -> None:
    pipeline = Pipeline(AgentConfig(), zones=StaffZones([zone]))
    assert [len(pipeline(Frame(i / 30, still)).faces) for i in range(4)] == [faces] * 4


def test_zones_of_the_configuration_cannot_be_forgotten(still: NDArray[np.uint8]) -> None:
    config = parse({"privacy": {"staff_zones": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}}, "x")
    with pytest.raises(ValueError, match="staff zones"):
        Pipeline(config)
    assert len(Pipeline(config, zones=StaffZones(()))(Frame(0, still)).faces) == 1


@pytest.mark.parametrize("shape", [(1, 1), (2, 700), (4320, 7680), (480, 640)])
def test_pictures_of_any_size_without_a_face_show_none(shape: tuple[int, int]) -> None:
    pipeline = Pipeline(AgentConfig())
    rows = np.linspace(40, 200, shape[0])[:, None]
    luma = np.broadcast_to(rows, shape).astype(np.uint8)
    for i in range(3):
        perceived = pipeline(Frame(i / 30, np.ascontiguousarray(luma)))
        assert perceived.faces == ()


def test_an_altered_model_stops_everything(tmp_path: Path) -> None:
    for path in models_folder(None).rglob("*"):
        if path.suffix in (".toml", ".tflite"):
            copy = tmp_path / path.relative_to(models_folder(None))
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(path.read_bytes())
    file = tmp_path / "landmarks" / "model.tflite"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(ModelError, match="landmarks"):
        Pipeline(parse({"models": str(tmp_path)}, "here"))


def test_inspect_finds_the_face_of_a_still(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "face.png"
    for frame in VideoFile(CLIP):
        if frame.time > 6.5:
            cv2.imwrite(str(picture), frame.luma)
            break
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    assert main(["inspect", str(tmp_path), "--json"]) == 0
    broken, face = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "broken.jpg" in broken["error"]
    assert face["image"].endswith("face.png")
    first = face["faces"][0]
    assert set(first["expression"]) == set(EXPRESSIONS)
    assert sum(first["expression"].values()) == pytest.approx(1, abs=0.01)
    assert np.array(first["landmarks"]).shape == (68, 2)
    assert np.array(first["keypoints"]).shape == (5, 2)
    x1, y1, x2, y2 = first["box"]
    inside = np.array(first["landmarks"])[17:]
    assert ((inside > [x1 - 8, y1 - 8]) & (inside < [x2 + 8, y2 + 8])).all()
    iod = np.hypot(*(np.array(first["landmarks"][45]) - first["landmarks"][36]))
    assert iod == pytest.approx(VISITORS[0]["iod"], rel=0.12)


def test_a_crop_is_one_face(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "48.png"), np.full((48, 48), 90, np.uint8))
    assert main(["inspect", str(tmp_path / "48.png"), "--json", "--crop"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert len(line["faces"]) == 1
    assert line["faces"][0]["box"] == [0, 0, 48, 48]
    assert MEAN_SHAPE.shape == np.array(line["faces"][0]["landmarks"]).shape


def test_inspect_of_nothing_readable_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(tmp_path / "none.jpg"), "--json"]) == 1
    assert "none.jpg" in json.loads(capsys.readouterr().out)["error"]
