"""Memory of `fleeting report` over the length of a film: part of `python -m tools.bench memory`.

The clip goes once through the whole pipeline, voice and all; what was perceived in it then goes
again and again, at later times and as other faces, through all that a report keeps and makes, at
ten frames a second, since nothing that is kept goes by frames. What the pipeline itself holds over
hours is `tools.bench soak`'s subject.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.base.assets import CLIP
from agent.base.settings_file import parse
from agent.host.supervise import child_environment
from tools.common.errors import ToolError
from tools.common.processes import own_memory
from tools.common.tables import columns, text

MOST = 1.0
"""MB an hour that a film may add, from its tenth minute on."""
_FROM = 10.0
"""Minutes after which all that is made once is there."""
_PROGRAM = [sys.executable, "-P", "-m", "tools.bench.films"]
_EVERY = 3
"""Frames of which one is played again; of those with an event, all."""
_OTHERS = 10_000
"""Between the track numbers of one round and the next."""


def measured(minutes: float) -> dict[str, Any]:
    """Own memory of the process after the first minute, after each ten up to `minutes`, and once
    page and tables are made. Raises `ToolError`."""
    done = subprocess.run(
        [*_PROGRAM, str(minutes)], capture_output=True, env=child_environment(), check=False
    )
    if done.returncode:
        raise ToolError(f"The film could not be looked at: {done.stderr.decode()[-300:]}")
    *rows, end = [json.loads(line) for line in done.stdout.splitlines()]
    later = [row for row in rows if row["minute"] >= _FROM] or rows[-1:]
    hours = max((later[-1]["minute"] - later[0]["minute"]) / 60, 1 / 6)
    slope = (later[-1]["own_mb"] - later[0]["own_mb"]) / hours
    return {
        "minutes": minutes, "rows": rows, "end": end, "mb_an_hour": round(slope, 2),
        "most_mb_an_hour": MOST, "passed": slope <= MOST,
    }  # fmt: skip


def films_text(report: dict[str, Any]) -> str:
    """A row for each measurement."""
    verdict = "kept" if report["passed"] else "EXCEEDED"
    table = columns("minute of the film", "visits", "events", "own memory, MB")
    for row in report["rows"]:
        cells = f"{row['minute']:.0f}", str(row["visits"]), str(row["events"])
        table.add_row(*cells, f"{row['own_mb']:.1f}")
    end = report["end"]
    cells = "page, PDF, tables", str(end["visits"]), str(end["events"])
    table.add_row(*cells, f"{end['own_mb']:.1f}")
    slope = f"{report['mb_an_hour']:+.2f} MB an hour of film from minute {_FROM:.0f} on ({verdict})"
    return f"fleeting report: {slope}\n{text(table)}"


def _look(minutes: float) -> None:
    """What the process measures of itself."""
    import agent.kernels.compiler  # noqa: F401  # isort: skip
    from agent.base.types import Fused, Perceived, Tone, Words
    from agent.desk.film import perceive, sound_of
    from agent.desk.films.analyse import Analysis
    from agent.desk.films.collect import Collector
    from agent.desk.films.findings import find
    from agent.desk.films.rows import Windows
    from agent.desk.films.write import write
    from agent.perceive.capture.video_file import VideoFile
    from agent.perceive.hearing import Hearing
    from agent.privacy.policy.rules import resolve
    from agent.privacy.releaser import Releaser
    from agent.vision.pipeline import Pipeline

    config = parse({"privacy": {"policy": "demo"}}, "the demo profile")
    policy = resolve(config, live=False)
    source, pipeline = VideoFile(CLIP), Pipeline(config)
    rate = pipeline.false_alarms_per_minute
    releaser = Releaser(config, policy, model="0" * 16, false_alarms_per_minute=rate)
    heard: list[Tone | Words | Fused] = []
    hearing = Hearing(pipeline.models.manifest, sound=sound_of(CLIP), observer=heard.append)
    shown: list[tuple[Perceived, list[Tone | Words | Fused]]] = []
    for perceived, _ in perceive(source, pipeline, hearing, releaser):
        hearing.attribute(perceived, releaser, 0)
        shown.append((perceived, [*heard]))
        heard.clear()
    length = shown[-1][0].time + 1 / 30
    shown = [each for at, each in enumerate(shown) if at % _EVERY == 0 or each[0].micro or each[1]]

    releaser = Releaser(config, policy, model="0" * 16, false_alarms_per_minute=rate)
    place = tempfile.TemporaryDirectory(prefix="fleeting-films-")
    collector, windows = Collector(config, Path(place.name)), Windows(Path(place.name))
    due, time = 60.0, 0.0

    def say(minute: float) -> None:
        kept = (collector.micro, collector.tones, collector.words)
        said = {
            "minute": minute, "own_mb": round(own_memory(os.getpid()) * 1024 / 1e6, 2),
            "visits": len(collector.seen), "events": sum(len(each) for each in kept),
        }  # fmt: skip
        print(json.dumps(said), flush=True)

    while time < 60 * minutes:
        for at, (perceived, readings) in enumerate(shown):
            time = perceived.time
            collector.add(perceived)
            for released in releaser.observe(perceived):
                windows.add(released.summary)
            for reading in readings:
                collector.hear(reading)
            if time >= due:
                say(due / 60)
                due = due + 540 if due == 60 else due + 600
            _onward(perceived, length)
            shown[at] = perceived, [_later(each, length) for each in readings]
    collector.finish()
    analysis = Analysis(
        collector, windows, policy, pipeline.models.manifest, rate, source.counters, 30.0,
        heard=True, silent=False, damaged_sound=0,
    )  # fmt: skip
    with place:
        write(
            find(analysis, config),
            "clip.mp4",
            "clip",
            CLIP.stat().st_size,
            Path(place.name),
            [],
            pdf=True,
        )
        say(time / 60)


def _onward(perceived: Any, seconds: float) -> None:
    """Later, and other faces."""
    perceived.time += seconds
    for face in perceived.faces:
        face.track_id += _OTHERS
    perceived.micro = tuple(
        replace(
            each, track_id=each.track_id + _OTHERS, onset=each.onset + seconds,
            apex=each.apex + seconds, offset=each.offset + seconds,
        )
        for each in perceived.micro
    )  # fmt: skip


def _later(reading: Any, seconds: float) -> Any:
    track = reading.track_id if reading.track_id is None else reading.track_id + _OTHERS
    return replace(reading, time=reading.time + seconds, track_id=track)


if __name__ == "__main__":
    _look(float(sys.argv[1]))
