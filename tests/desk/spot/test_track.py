"""Reading landmark tracks."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.desk.spot.track import BLOCK, TrackError, TrackFile
from tests.desk.spot.tracks import Arrays, save, still


def whole(path: Path) -> Arrays:
    blocks = list(TrackFile(path).blocks())
    assert all(len(block.times) <= BLOCK for block in blocks)
    return {
        "timestamps": np.concatenate([block.times for block in blocks]),
        "landmarks": np.concatenate([block.points for block in blocks]),
        "confidence": np.concatenate([block.confidence for block in blocks]),
    }


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("frames", [2, BLOCK, 2 * BLOCK + 5])
def test_what_was_saved_is_read(tmp_path: Path, frames: int, compressed: bool) -> None:
    track = still(frames)
    got = whole(save(tmp_path / "t.npz", track, compressed))
    for name, values in track.items():
        assert got[name].dtype == values.dtype
        np.testing.assert_array_equal(got[name], values)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("timestamps", "float32"),
        ("landmarks", "float64"),
        ("landmarks", ">f4"),
        ("landmarks", "int16"),
        ("confidence", "float16"),
        ("confidence", "bool"),
        ("confidence", "uint8"),
    ],
)
def test_other_numbers_are_understood(tmp_path: Path, name: str, dtype: str) -> None:
    track = still(40)
    track["confidence"][:] = 1
    changed = track | {name: track[name].astype(dtype)}
    got = whole(save(tmp_path / "t.npz", changed))
    np.testing.assert_allclose(got[name], changed[name].astype(np.float64), rtol=1e-6)
    assert got[name].dtype == track[name].dtype


def test_an_array_that_lies_on_disk_point_by_point_is_read_frame_by_frame(tmp_path: Path) -> None:
    track = still(BLOCK + 30)
    turned = np.ascontiguousarray(track["landmarks"].T).T
    assert turned.flags.f_contiguous
    got = whole(save(tmp_path / "t.npz", track | {"landmarks": turned}, compressed=True))
    np.testing.assert_array_equal(got["landmarks"], track["landmarks"])


def test_what_is_missing_counts_as_lost(tmp_path: Path) -> None:
    track = still(10)
    track["confidence"][[1, 2]] = np.nan, 0
    track["landmarks"][3, 17, 1] = np.nan
    track["landmarks"][4, 0, 0] = np.inf
    got = whole(save(tmp_path / "t.npz", track))
    assert np.flatnonzero(got["confidence"] == 0).tolist() == [1, 2, 3, 4]
    assert np.isfinite(got["confidence"]).all()


def test_a_long_track_is_never_in_memory_whole(tmp_path: Path) -> None:
    """40,000 frames are 22 MB of landmarks; blocks of 4,096 are read through a few of 2.2 MB."""
    path = tmp_path / "t.npz"
    with zipfile.ZipFile(path, "w") as archive:
        track = still(1000)
        for name, values in track.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                shape = (40 * len(values), *values.shape[1:])
                header = {"descr": values.dtype.str, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                for _ in range(40):
                    file.write(values.tobytes())
    opened = TrackFile(path)
    tracemalloc.start()
    frames = sum(len(block.times) for block in opened.blocks())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert frames == 40_000
    assert peak < 11e6


def spoilt(**changes: NDArray[Any] | None) -> Arrays:
    track: dict[str, Any] = still(20) | changes
    return {name: values for name, values in track.items() if values is not None}


POINTS = still(20)["landmarks"]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (spoilt(confidence=None), r"lacks confidence\. It has landmarks, timestamps"),
        (spoilt(landmarks=None), r"lacks landmarks"),
        (spoilt(timestamps=np.arange(19.0)), r"timestamps has shape \(19,\)"),
        (spoilt(confidence=np.ones((20, 1))), r"confidence has shape \(20, 1\)"),
        (spoilt(confidence=np.full(20, 95.0)), r"confidence has 95; it must lie in \[0, 1\]"),
        (spoilt(confidence=np.full(20, -1.0)), r"confidence has -1"),
        (spoilt(timestamps=np.array(["0"] * 20)), r"timestamps is of type <U1"),
        (spoilt(timestamps=np.array([None] * 20, object)), r"pickled Python objects"),
        (spoilt(landmarks=POINTS + 1j), r"landmarks is of type complex"),
        (spoilt(landmarks=np.zeros((20, 478, 3))), r"MediaPipe's face mesh"),
        (spoilt(landmarks=np.zeros((20, 98, 2))), r"WFLW"),
        (spoilt(landmarks=np.zeros((20, 71, 2))), r"looks like 71 points"),
        (spoilt(landmarks=np.zeros((20, 68, 3))), r"keep x and y only"),
        (spoilt(landmarks=np.zeros((20, 2, 68))), r"transpose\(0, 2, 1\)"),
        (spoilt(landmarks=np.zeros((68, 2, 20))), r"the frames come first"),
        (spoilt(landmarks=np.zeros((20, 136))), r"reshape\(-1, 68, 2\)"),
        (spoilt(landmarks=np.zeros((20, 2, 68, 2))), r"one face per file"),
        (spoilt(landmarks=np.zeros((68, 2))), r"not a single one"),
        (spoilt(landmarks=np.array(0.0)), r"landmarks have shape \(\)"),
        ({name: values[:1] for name, values in still(2).items()}, "has one frame"),
        ({name: values[:0] for name, values in still(2).items()}, "has no frame"),
    ],
)
def test_what_cannot_be_a_track_is_named(tmp_path: Path, arrays: Arrays, words: str) -> None:
    path = save(tmp_path / "t.npz", arrays)
    with pytest.raises(TrackError, match=words) as caught:
        list(TrackFile(path).blocks())
    assert str(path) in str(caught.value)


def test_a_trace_of_replay_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "trace.npz"
    np.savez(path, time=np.zeros(3), frame_time=np.zeros(3), track_id=np.zeros(3), landmarks=POINTS)
    with pytest.raises(TrackError, match="trace of `fleeting replay`"):
        TrackFile(path)


def test_files_that_are_no_npz_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("0.1, 0.2")
    (tmp_path / "empty.npz").write_bytes(b"")
    np.save(tmp_path / "one.npy", np.zeros(3))
    for name in ("text.npz", "empty.npz", "one.npy"):
        with pytest.raises(TrackError, match=r"no \.npz file"):
            TrackFile(tmp_path / name)
    for missing in (tmp_path / "absent.npz", tmp_path):
        with pytest.raises(TrackError, match="cannot be read"):
            TrackFile(missing)
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(TrackError, match="It has no arrays"):
        TrackFile(tmp_path / "other.npz")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_damaged_file_is_named_wherever_the_damage_lies(tmp_path: Path, compressed: bool) -> None:
    good = save(tmp_path / "t.npz", still(400), compressed).read_bytes()
    bad = tmp_path / "bad.npz"
    rng = np.random.default_rng(1)
    refused = 0
    for place in rng.integers(0, len(good), 60):
        changed = bytearray(good)
        changed[place : place + 64] = rng.bytes(len(changed[place : place + 64]))
        bad.write_bytes(changed)
        try:
            list(TrackFile(bad).blocks())
        except TrackError:
            refused += 1
    assert refused > 50  # the rest hit a date or another field that nobody needs
    for length in (len(good) // 2, len(good) - 10):
        bad.write_bytes(good[:length])
        with pytest.raises(TrackError):
            TrackFile(bad)


def test_a_header_that_promises_more_than_there_is_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in still(20).items():
            with archive.open(f"{name}.npy", "w") as file:
                shape = (10**12, *values.shape[1:])
                header = {"descr": values.dtype.str, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                file.write(values.tobytes())
    with pytest.raises(TrackError, match="not what its header says"):
        TrackFile(path)
