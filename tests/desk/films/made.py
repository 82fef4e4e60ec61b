"""Findings of the clip's ground truth, as of a perfect pipeline: no model runs."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np

from agent.base.config import AgentConfig
from agent.base.settings_file import parse
from agent.base.types import TONES, Frame, MicroExpression, Tone
from agent.desk.films.analyse import Analysis
from agent.desk.films.collect import Collector
from agent.desk.films.findings import Findings, find
from agent.desk.films.rows import Windows
from agent.desk.trace import truth as script
from agent.inference.manifest import load_manifest, models_folder
from agent.perceive.capture.source import Counters
from agent.privacy.policy.rules import resolve
from agent.privacy.releaser import Releaser
from tests.desk.trace.generated import perceived

DEMO = {"privacy": {"policy": "demo"}}


def config(**sections: object) -> AgentConfig:
    """The demo profile with other sections, as replay's default."""
    return parse({**DEMO, **sections}, "a test")


def analysed(with_config: AgentConfig | None = None, *, times: int = 1) -> Analysis:
    """The clip's script, `times` in a row."""
    given = with_config or config()
    policy = resolve(given, live=False)
    releaser = Releaser(given, policy, model="0" * 16, false_alarms_per_minute=0.5)
    collector, windows, shift = Collector(given), Windows(), 0.0
    whole = script.load()
    for turn in range(times):
        shift = turn * (whole.duration + 20.0)
        for each in perceived(whole):
            each.time += shift
            each.micro = tuple(_later(event, shift) for event in each.micro)
            collector.frame(Frame(each.time, np.full((4, 4), 120, np.uint8)))
            collector.add(each)
            releaser.listen(each.time, 1 / 30)
            for released in releaser.observe(each):
                windows.add(released.summary)
            if round(each.time * 30) % 300 == 150:
                tone = _tone(each.time, each.faces[0].track_id if each.faces else None)
                releaser.hear(tone)
                collector.hear(tone)
    for released in releaser.finish():
        windows.add(released.summary)
    collector.finish()
    counters = Counters(frames=whole.frames * times)
    return Analysis(
        collector, windows, policy, load_manifest(models_folder(None)), 0.5, counters, 30.0,
        heard=True, silent=False, damaged_sound=0,
    )  # fmt: skip


def _later(event: MicroExpression, shift: float) -> MicroExpression:
    return replace(
        event, onset=event.onset + shift, apex=event.apex + shift, offset=event.offset + shift,
        action_units=("AU01", "AU02"), score=0.8,
    )  # fmt: skip


def _tone(time: float, track: int | None) -> Tone:
    probabilities = np.array([0.1, 0.1, 0.7, 0.1], np.float32)
    return Tone(time, 3.0, 0.6, -0.4, probabilities, TONES[2], track)


@functools.cache
def findings() -> Findings:
    """Of the demo profile."""
    return find(analysed(), config())
