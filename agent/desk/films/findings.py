"""What a page, the tables and the index say of one film."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from agent.base.config import AgentConfig
from agent.base.types import TONES, UNSURE
from agent.desk.films.analyse import Analysis
from agent.desk.films.collect import Noted
from agent.desk.films.course import LABELS, REFUSALS, Course
from agent.desk.films.highlights import Highlight, candidates, choose
from agent.desk.films.kept import Kept, Made
from agent.desk.films.rows import Row, Windows, event_row, visit_row
from agent.inference.manifest import Manifest
from agent.privacy.policy.rules import Policy


@dataclass(slots=True)
class Findings:
    """Of one film. Seconds are of the film, sizes in pixels."""

    policy: Policy
    manifest: Manifest
    course: Course
    windows: Windows
    visits: Sequence[Row]
    micro: Sequence[Row]
    tones: Sequence[Row]
    words: Sequence[Row]
    lanes: list[int | None]
    """Of `course`, by visit; None: not drawn."""
    highlights: list[Highlight]
    """Strongest first."""
    seconds: float
    frames: int
    fps_stated: float
    fps: float
    """Frames looked at, over the film's length."""
    shape: tuple[int, int] | None
    passed: int
    """Stays too short for a visit: people who passed by."""
    brief: int
    """Faces that were a flicker."""
    sizes: list[tuple[int, int]]
    """Lower edge of the inter-ocular distance, and faces over frames."""
    false_alarms: float | None
    """Of the spotter, per analysable face-minute."""
    attention_cone: float
    """Degrees."""
    min_face: float
    """Inter-ocular distance that micro-expressions take."""
    dropped: int
    bad_times: int
    size_changes: int
    truncated: bool
    heard: bool
    silent: bool
    damaged_sound: int
    subtitled: bool
    refused: dict[str, float] = field(default_factory=dict)
    """Seconds of visits that were not analysable for micro-expressions, by reason."""

    @property
    def cells(self) -> Set[str]:
        """What the policy lets be said."""
        return frozenset(self.policy.cells)

    @property
    def events(self) -> Iterator[Row]:
        """All three, in order of time."""
        every = (self.micro, self.tones, self.words)
        return heapq.merge(*every, key=lambda row: (row["start_s"], row["end_s"]))

    @property
    def analysable(self) -> float:
        """Seconds, over visits."""
        return sum(row.get("analysable_s") or 0.0 for row in self.visits)

    @property
    def expected(self) -> float | None:
        """Micro-expressions that chance alone is expected to give."""
        return None if self.false_alarms is None else self.false_alarms * self.analysable / 60

    @property
    def shares(self) -> dict[str, float]:
        """Of the readings, by `LABELS`; empty without any, and where the policy has none."""
        if "expression" not in self.cells:
            return {}
        total = self.course.sums("labels").sum(axis=0)
        return _shares(dict(zip(LABELS, map(float, total), strict=True)))

    @property
    def tone_shares(self) -> dict[str, float]:
        """Of the tones, by `TONES` and unsure."""
        found = Counter(row["label"] for row in self.tones)
        return _shares({name: float(found[name]) for name in (*TONES, UNSURE)})

    @property
    def attentive(self) -> float | None:
        """Share of the seconds of visits that were spent facing the camera."""
        dwell = sum(row["dwell_s"] for row in self.visits)
        looked = sum(row["attention_s"] or 0.0 for row in self.visits)
        return looked / dwell if dwell and "attention" in self.cells else None

    @property
    def flags(self) -> dict[str, int]:
        """Windows by what was wrong in them."""
        return dict(Counter(flag for row in self.windows for flag in row["flags"].split()))

    @property
    def usable(self) -> float:
        """Share of the film's frames that were looked at."""
        every = self.frames + self.dropped
        return self.frames / every if every else 0.0

    def mean(self, name: str) -> float | None:
        """Of `valence` or `arousal`, over all readings."""
        read = float(self.course.sums("estimates").sum())
        return float(self.course.sums(name).sum()) / read if read else None


def find(analysis: Analysis, config: AgentConfig) -> Findings:
    """The figures of a finished analysis."""
    collector, counters, policy = analysis.collector, analysis.counters, analysis.policy
    allowed: set[str] = set(policy.cells)
    numbers = collector.numbers()
    of_visit = Counter(numbers.get(e.key) for e in collector.micro if e.key is not None)
    visits = Made(
        collector.seen,
        lambda at, seen: visit_row(at + 1, seen, of_visit[at + 1], config.micro.min_face, allowed),
    )

    def rows(kept: Kept[Noted[Any]], may: bool) -> Sequence[Row]:
        return Made(kept if may else (), lambda at, noted: event_row(noted, numbers))

    micro = rows(collector.micro, "micro" in allowed)
    tones = rows(collector.tones, policy.hears)
    refused = Counter[str]()
    lanes = []
    for seen in collector.seen:
        refused.update({k: v for k, v in seen.visit.refused.items() if k in REFUSALS})
        lanes.append(seen.stay.lane)
    seconds = collector.last - (collector.first or 0.0)
    fps = (collector.frames - 1) / seconds if seconds else analysis.fps
    return Findings(
        policy,
        analysis.manifest,
        collector.course,
        analysis.windows,
        visits,
        micro,
        tones,
        rows(collector.words, policy.reads),
        lanes,
        choose(candidates(collector.course, micro, tones, allowed)),
        seconds + 1 / analysis.fps,
        collector.frames,
        analysis.fps,
        fps,
        collector.shape,
        collector.passed,
        collector.brief,
        list(zip(collector.bins, map(int, collector.sizes), strict=True)),
        analysis.false_alarms,
        config.tracking.attention_cone,
        config.micro.min_face,
        counters.dropped,
        counters.bad_timestamps,
        counters.size_changes,
        bool(counters.truncated),
        analysis.heard,
        analysis.silent,
        analysis.damaged_sound,
        analysis.subtitled,
        {k: float(v) for k, v in refused.items()},
    )


def entry(found: Findings) -> dict[str, Any]:
    """One film's line of the index and of `--json`."""
    course = found.course.folded(60, 0.4)
    read = course.sums("estimates")
    valence = np.divide(
        course.sums("valence"), read, out=np.full(len(read), np.nan), where=read > 0
    )
    cells = found.cells
    spark = [None if np.isnan(v) else round(float(v), 3) for v in valence]
    faces = course.sums("faces") / np.maximum(course.sums("frames"), 1)
    expected = found.expected
    sought = "micro" in cells and (found.analysable > 0 or len(found.micro) > 0)
    shares = {name: round(share, 4) for name, share in found.shares.items()}
    return {
        "seconds": round(found.seconds, 3),
        "frames": found.frames,
        "fps": round(found.fps, 2),
        "size": list(found.shape) if found.shape else None,
        "visits": len(found.visits),
        "passed": found.passed if "passing" in cells else None,
        "faces_at_once": int(found.course.most.max(initial=0)),
        "shares": shares,
        "valence": _rounded(found.mean("valence")) if "valence" in cells else None,
        "arousal": _rounded(found.mean("arousal")) if "arousal" in cells else None,
        "attention": _rounded(found.attentive),
        "micro": len(found.micro) if sought else None,
        "micro_expected": _rounded(expected) if sought else None,
        "tones": {k: round(v, 4) for k, v in found.tone_shares.items()},
        "usable": round(found.usable, 4),
        "flags": found.flags,
        "valence_course": spark if "valence" in cells else [],
        "faces_course": [round(float(v), 2) for v in faces],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _shares(counts: dict[str, float]) -> dict[str, float]:
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()} if total else {}
