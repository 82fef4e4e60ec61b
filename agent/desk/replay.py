"""`fleeting replay`: a video file through the pipeline and release, without a network."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from agent.base.config import AgentConfig
from agent.base.names import one_line
from agent.base.report import Summary, to_json
from agent.base.settings_file import parse
from agent.base.types import Perceived
from agent.desk.coding.files import format_of, write_events
from agent.desk.coding.spotted import of_spotter
from agent.desk.film import perceive, refuse_camera, sound_of
from agent.desk.trace import openface
from agent.desk.trace.output import check_target, progress_bar
from agent.desk.trace.recorder import TraceRecorder, event_record, reading_record
from agent.desk.trace.table import heard_table, summaries_table
from agent.perceive.capture.sound_file import SoundFile
from agent.perceive.capture.video_file import VideoFile
from agent.perceive.hearing import Hearing, Reading
from agent.privacy.policy.rules import resolve
from agent.privacy.releaser import Released, Releaser
from agent.privacy.zones import StaffZones
from agent.vision.pipeline import Pipeline


def replay(
    video: Path,
    config: AgentConfig | None,
    *,
    as_json: bool,
    events: bool = False,
    readings: bool = False,
    plot: Path | None,
    trace: Path | None,
    window: int | None,
    export: Path | None = None,
    frames: Path | None = None,
    landmarks: bool = False,
) -> int:
    """Run a file through perception and print one summary per window.

    `as_json`: one summary per line. `events`: also one line per micro-expression when it is
    emitted, `{"event":"micro_expression","track":…,"onset":…}`. Such a record is personal data:
    it exists for files only and never reaches the uplink, as do `readings`: one line per tone of
    voice, and per reading of face and voice together.

    The default configuration is the demo profile (k = 1, no noise, windows of 10 s), since nothing
    is published.

    `export`: file of the micro-expressions as coded events (`agent.desk.coding`); `frames`: table
    of faces and frames (`agent.desk.trace.openface`), with `landmarks` also those.

    Raises `CaptureError` for a live camera or an unreadable file, `StoreError` for an output that
    cannot be written.
    """
    refuse_camera(video, "replay")
    for out in (plot, trace, export, frames):
        if out is not None:
            check_target(out)
    if export is not None:
        format_of(export)
    config = config or parse({"privacy": {"policy": "demo"}}, "the demo profile")
    if window is not None:
        privacy = config.privacy.model_copy(update={"window": window})
        config = config.model_copy(update={"privacy": privacy})
    policy = resolve(config, live=False)
    source = VideoFile(video)
    pipeline = Pipeline(config, expressions=policy.infers_emotion, zones=StaffZones(policy.zones))
    releaser = Releaser(
        config,
        policy,
        model=pipeline.model_hash,
        false_alarms_per_minute=pipeline.false_alarms_per_minute,
    )
    recorder = TraceRecorder() if plot or trace or export or frames else None
    summaries: list[Summary] = []

    def note(reading: Reading) -> None:
        if recorder:
            recorder.add_reading(reading)
        if as_json and readings:
            print(json.dumps(reading_record(reading), separators=(",", ":")), flush=True)

    sound = sound_of(video) if policy.hears else None
    hearing = Hearing(pipeline.models.manifest, sound=sound, observer=note)

    def collect(batch: list[Released]) -> None:
        for released in batch:
            summaries.append(released.summary)
            if as_json:
                print(to_json(released.summary).decode(), flush=True)

    with progress_bar() as progress:
        task = progress.add_task(escape(one_line(video.name)), total=source.frame_count)
        time = 0.0
        for perceived, flags in perceive(source, pipeline, hearing, releaser):
            time = perceived.time
            if recorder:
                recorder.add(perceived)
            if as_json and events:
                _print_events(perceived)
            collect(releaser.observe(perceived, flags=flags))
            hearing.attribute(perceived, releaser, 0)
            progress.advance(task)
        progress.update(task, total=source.counters.frames)
    hearing.finish(time, releaser)
    collect(releaser.finish())
    if sound is not None:
        _note_sound(sound, time)
    if recorder and trace:
        recorder.write(trace)
    if recorder and export:
        coded = [of_spotter(event) for event in recorder.micro]
        write_events(export, coded, one_line(video.name), time)
    if recorder and frames:
        openface.write(recorder, frames, landmarks=landmarks)
    if recorder and plot:
        from agent.desk.trace.timeline import draw_trace

        draw_trace(recorder, plot, title=one_line(video.name))
    if not as_json:
        title = f"{source.name}: {source.counters.frames} frames"
        console = Console()
        console.print(summaries_table(summaries, title))
        if heard := heard_table(summaries):
            console.print(heard)
    return 0


def _note_sound(sound: SoundFile, end: float) -> None:
    """Say what of the sound was not heard: what lasts longer than the pictures, what is broken."""
    rest = (sound.seconds or 0.0) - end
    if rest > 1.0:
        print(
            f"{sound.name}: {rest:.0f} s of sound after the last picture were left out; "
            "`fleeting listen` hears them.",
            file=sys.stderr,
        )
    if sound.damaged:
        print(f"{sound.name}: {sound.damaged} damaged packets of sound.", file=sys.stderr)
    sound.close()


def _print_events(perceived: Perceived) -> None:
    for event in perceived.micro:
        line = {"event": "micro_expression", "track": event.track_id, **event_record(event)}
        print(json.dumps(line, separators=(",", ":")), flush=True)
