"""What the looks after its first say about a track: the data that decides which are reported."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.base.config import AgentConfig
from agent.base.types import Frame, Grey
from agent.vision.faces.probability import FaceProbability, FilmJudge
from agent.vision.faces.roam import RoamingDetector
from agent.vision.faces.track import FaceTracker
from agent.vision.pipeline import WEAK
from tools.common.progress import along
from tools.eval import data
from tools.eval.detector import clips
from tools.eval.detector.boxes import covered, overlap
from tools.eval.detector.calibrate import Answers, Sample
from tools.eval.detector.clips import FPS, Film
from tools.eval.detector.evidence import Evidence
from tools.eval.detector.video import TRACKED_IOU
from tools.eval.ours import Ours

SECONDS = 1.5
"""Of each film; within it a track is borne out, or given up."""
FILMS = 24
"""With faces of each size."""
BLANKS = 100
"""Pictures without faces that are filmed, twice each."""
_NEVER = 2.0
"""Above any probability: every track stays tentative."""


def sample_of(
    ours: Ours, first: FaceProbability, scenes: data.Scenes, blanks: Sequence[Grey]
) -> Sample:
    """Evidence of every track that a detection begins, in films with faces and without.

    `first` decides which begin one. A unit is the scene or the blank that a film shows.
    """
    shape = clips.SIZES[0]
    shown = [
        film
        for side in clips.SIDES
        for film in clips.with_faces(scenes, blanks, shape, side, FILMS, SECONDS)
    ]
    chosen = [blanks[i] for i in data.thin(len(blanks), BLANKS)]
    # each also upside down: other patterns, the same light
    ground = [turned for each in chosen for turned in (each, np.ascontiguousarray(each[::-1]))]
    empty = clips.without_faces(ground, shape, len(ground), SECONDS)
    judge = FilmJudge(first, _NEVER, FaceProbability((0.0, 0.0, 0.0), _NEVER))
    found = [follow(ours, judge, film) for film in along(shown, "tracks: faces")]
    none = [follow(ours, judge, film)[0] for film in along(empty, "tracks: no faces")]
    units = [len(shown) + film.seed // 2 for film in empty]
    return Sample([one for one, _ in found], [known for _, known in found], none, units)


def follow(ours: Ours, judge: FilmJudge, film: Film) -> tuple[Evidence, Answers]:
    """Every tentative track of a film that was looked at again: mean logits of score and presence,
    and whether it lay on a face (1), beside all (0), or neither (-1)."""
    config = AgentConfig()
    looking = RoamingDetector(ours.detector(WEAK))
    tracker = FaceTracker(
        looking,
        ours.placer(),
        config.detection,
        config.tracking,
        float(ours.parameters("landmarks")["presence_above"]),
        judge=judge,
        aim=looking.aim,
    )
    values: dict[int, tuple[float, float]] = {}
    places: dict[int, list[tuple[float, float]]] = {}
    for index, (luma, truth) in enumerate(film.frames()):
        tracker.update(Frame(index / FPS, luma))
        for track in tracker.tentative:
            box = track.box[None]
            on = float(overlap(box, truth.boxes).max()) if len(truth.boxes) else 0.0
            within = float(covered(box, truth.boxes)[0])
            places.setdefault(track.track_id, []).append((on, within))
            if track.looks == 2:
                values[track.track_id] = (track.later_score, track.later_presence)
    answers = []
    for track_id in values:
        on, within = np.median(places[track_id], 0)
        answers.append(1 if on >= TRACKED_IOU else 0 if within < 0.3 else -1)
    table = np.array(list(values.values()), np.float64).reshape(-1, 2)
    return Evidence(np.zeros((len(table), 4), np.float32), table), np.array(answers, np.int64)
