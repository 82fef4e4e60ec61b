"""A film through perception and release, as `fleeting replay` takes it, in constant memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.base.config import AgentConfig
from agent.desk.film import perceive, sound_of
from agent.desk.films.collect import Collector
from agent.desk.films.rows import Windows
from agent.desk.films.subtitles import Subtitles, beside
from agent.inference.manifest import Manifest
from agent.perceive.capture.source import Counters
from agent.perceive.capture.video_file import VideoFile
from agent.perceive.hearing import Hearing
from agent.privacy.policy.rules import Policy, resolve
from agent.privacy.releaser import Releaser
from agent.privacy.zones import StaffZones
from agent.vision.pipeline import Pipeline

Progress = Callable[[int, int | None], None]
"""Is told of frames done, and how many there are in all."""


@dataclass(slots=True)
class Analysis:
    """What was found in a film. Personal data."""

    collector: Collector
    """Finished."""
    windows: Windows
    """Of the summaries that `fleeting replay --json` prints."""
    policy: Policy
    manifest: Manifest
    false_alarms: float | None
    """Of the spotter, per analysable face-minute; None where not measured."""
    counters: Counters
    fps: float
    """As the file states it."""
    heard: bool
    """Whether there was sound, and it was listened to."""
    silent: bool
    """Whether it was to be listened to and there was none."""
    damaged_sound: int
    """Packets that could not be decoded."""
    subtitled: bool = False
    """Whether there were subtitles, and they were read."""


def analyse(
    film: Path, config: AgentConfig, progress: Progress, folder: Path | None = None
) -> Analysis:
    """Look at a film from beginning to end, and listen to it where the policy does.

    `folder`: for what does not fit into memory; see `Kept`.

    Raises `CaptureError` where it cannot be read, `ModelError`, `StoreError`.
    """
    policy = resolve(config, live=False)
    source = VideoFile(film)
    zones = StaffZones(policy.zones)
    pipeline = Pipeline(config, expressions=policy.infers_emotion, zones=zones)
    releaser = Releaser(
        config,
        policy,
        model=pipeline.model_hash,
        false_alarms_per_minute=pipeline.false_alarms_per_minute,
    )
    sound = sound_of(film) if policy.hears else None
    collector = Collector(config, folder)
    said = beside(film) if policy.reads else None
    lines = [Subtitles(said)] if said is not None else []
    hearing = Hearing(pipeline.models.manifest, sound=sound, lines=lines, observer=collector.hear)
    windows = Windows(folder)
    time = 0.0
    try:
        looked = perceive(source, pipeline, hearing, releaser, look=collector.frame)
        for perceived, flags in looked:
            time = perceived.time
            collector.add(perceived)
            for released in releaser.observe(perceived, flags=flags):
                windows.add(released.summary)
            for each in lines:
                each.until(time)
            hearing.attribute(perceived, releaser, 0)
            progress(source.counters.frames, source.frame_count)
        hearing.finish(time, releaser)
        for released in releaser.finish():
            windows.add(released.summary)
        collector.finish()
    finally:
        source.close()
        if sound is not None:
            sound.close()
    return Analysis(
        collector,
        windows,
        policy,
        pipeline.models.manifest,
        pipeline.false_alarms_per_minute,
        source.counters,
        source.fps_nominal,
        sound is not None,
        policy.hears and sound is None,
        sound.damaged if sound is not None else 0,
        bool(lines),
    )
