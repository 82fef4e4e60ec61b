"""Validation of timestamps, units and landmarks of a track."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.desk.spot.track import BLOCK, TrackError, TrackFile
from agent.desk.spot.validation import Flags, TrackStats, ordered_frames, validate
from tests.desk.spot.tracks import Arrays, save, still


def look(folder: Path, track: Arrays) -> tuple[list[float], Flags]:
    flags = Flags()
    kept = [s.time for s in ordered_frames(TrackFile(save(folder / "t.npz", track)), flags)]
    return kept, flags


def validated(folder: Path, track: Arrays) -> TrackStats:
    return validate(TrackFile(save(folder / "t.npz", track)))


def test_a_sound_track_has_nothing_to_flag(tmp_path: Path) -> None:
    track = still(100, fps=50.0)
    kept, flags = look(tmp_path, track)
    assert kept == track["timestamps"].tolist()
    assert flags.spans == []
    stats = validated(tmp_path, track)
    assert (stats.frames, stats.first) == (100, 0.0)
    assert stats.last == pytest.approx(1.98)
    assert stats.step == pytest.approx(0.02)
    assert stats.warnings == ()


def test_repeated_backward_and_impossible_times_are_left_out_and_flagged(tmp_path: Path) -> None:
    track = still(300)
    times = track["timestamps"]
    times[50] = times[49]
    times[100:103] -= 1.0
    times[150] = 1e9
    times[200] = np.nan
    times[250] = -np.inf
    kept, flags = look(tmp_path, track)
    assert kept == [t for i, t in enumerate(times) if i not in (50, 100, 101, 102, 150, 200, 250)]
    assert flags.frames == {"repeated": 1, "backward": 3, "bad_timestamp": 3}
    assert [(span.kind, span.frames) for span in flags.spans] == [
        ("repeated", 1),
        ("backward", 3),
        ("bad_timestamp", 1),
        ("bad_timestamp", 1),
        ("bad_timestamp", 1),
    ]
    assert flags.spans[1].start == times[99]
    assert validated(tmp_path, track).step == pytest.approx(1 / 30)


def test_a_wrong_time_at_the_start_or_across_two_blocks_does_not_hide_the_rest(
    tmp_path: Path,
) -> None:
    track = still(BLOCK + 20)
    track["timestamps"][[0, BLOCK - 1, BLOCK + 10]] = 5e8, 6e8, 7e8
    kept, flags = look(tmp_path, track)
    assert len(kept) == BLOCK + 17
    assert flags.frames == {"bad_timestamp": 3}
    assert all(np.isfinite([span.start, span.end]).all() for span in flags.spans)


def test_a_gap_of_seconds_is_no_wrong_time(tmp_path: Path) -> None:
    track = still(300)
    track["timestamps"][100:] += 3.0
    track["timestamps"][200:] += 3600.0
    kept, flags = look(tmp_path, track)
    assert len(kept) == 300
    assert flags.spans == []


def test_stretches_without_a_face_are_flagged_from_first_to_last(tmp_path: Path) -> None:
    track = still(300)
    track["confidence"][30:60] = 0
    track["confidence"][90] = np.nan
    track["landmarks"][120:150] = np.nan
    _, flags = look(tmp_path, track)
    spans = [(span.kind, span.frames, round(span.start * 30)) for span in flags.spans]
    assert spans == [("lost", 30, 30), ("lost", 1, 90), ("lost", 30, 120)]
    assert flags.spans[0].end == pytest.approx(59 / 30)


def test_flags_are_kept_in_bounds_and_all_counted(tmp_path: Path) -> None:
    track = still(6000)
    track["confidence"][::2] = 0
    _, flags = look(tmp_path, track)
    assert len(flags.spans) == 1000
    assert flags.left_out == 2000
    assert flags.frames == {"lost": 3000}


def scaled(factor: float) -> Arrays:
    track = still(60)
    return track | {"timestamps": track["timestamps"] * factor}


@pytest.mark.parametrize(
    ("track", "words"),
    [
        (scaled(1000), "milliseconds or frame numbers"),
        (scaled(30), "milliseconds or frame numbers"),
        (scaled(1 / 100), "3000 frames per second"),
        (scaled(-1), "59 of 60 timestamps do not increase .59 backward."),
        (scaled(0), "59 of 60 timestamps do not increase .59 repeated."),
        (scaled(np.nan), "60 bad_timestamp"),
        (still(60) | {"confidence": np.zeros(60)}, "shows no face: all 60 frames"),
        (still(60) | {"landmarks": np.full((60, 68, 2), np.nan)}, "shows no face"),
        (still(60, iod=0.3), "shares of the picture"),
        (still(2) | {"timestamps": np.array([0.0, 0.0])}, "one frame alone has a usable time"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, track: Arrays, words: str) -> None:
    with pytest.raises(TrackError, match=words):
        validated(tmp_path, track)


def test_rounded_landmarks_are_mentioned(tmp_path: Path) -> None:
    track = still(60)
    coarse = validated(tmp_path, track | {"landmarks": track["landmarks"].astype(np.int16)})
    assert "rounded to 1 px" in coarse.warnings[0]
    far = (track["landmarks"] + 600).astype(np.float16)
    assert "rounded to 0.5 px" in validated(tmp_path, track | {"landmarks": far}).warnings[0]
    fine = validated(tmp_path, track | {"landmarks": np.round(track["landmarks"], 2)})
    assert fine.warnings == ()


def test_wild_frames_are_no_faces_and_do_not_spoil_the_rest(tmp_path: Path) -> None:
    track = still(300)
    track["landmarks"][50] = 0
    track["landmarks"][100, 8] = 5e3
    track["landmarks"][150] = 1e30
    track["landmarks"][200:203] = np.random.default_rng(0).uniform(0, 640, (3, 68, 2))
    _, flags = look(tmp_path, track)
    assert flags.frames == {"no_face": 5, "lost": 1}
    assert validated(tmp_path, track).warnings == ()


def test_doubled_frames_are_mentioned(tmp_path: Path) -> None:
    track = still(300, fps=60.0)
    track["landmarks"][1::2] = track["landmarks"][::2]
    (warning,) = validated(tmp_path, track).warnings
    assert "50 % of the frames repeat" in warning


def test_a_name_stays_on_one_line(tmp_path: Path) -> None:
    track = still(50)
    track["timestamps"] = np.zeros(50)
    with pytest.raises(TrackError, match="do not increase") as caught:
        validate(TrackFile(save(tmp_path / "a\nb.npz", track)))
    assert "\n" not in str(caught.value)
