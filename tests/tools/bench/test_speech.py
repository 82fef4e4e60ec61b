"""What speech known is worth: the microphone, faces that talk, and the cards' sections."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from agent.base.types import EXPRESSIONS, Expression
from agent.inference.manifest import load_manifest, models_folder
from agent.vision.micro.network import SpotterNetwork
from tools.bench.speech import spoken
from tools.bench.speech import tables as speech
from tools.common.errors import ToolError
from tools.eval.expression import talking
from tools.eval.expression.talking import Talk
from tools.eval.ours import Ours
from tools.micro.movements import Event
from tools.render.reenact import fit
from tools.render.scene import faces, render
from tools.train.micro.generators import GENERATORS, Condition


def test_a_microphone_is_late_and_says_how_much_of_its_window_was_speech() -> None:
    times = np.arange(0.0, 4.0, 0.05)
    heard = spoken.microphone(times, [(1.0, 2.0), (2.1, 2.2)])
    assert heard.min() == 0.0
    assert heard.max() == pytest.approx(1.0)
    begins, ends = times[heard >= 0.5].min(), times[heard >= 0.5].max()
    assert begins == pytest.approx(1.0 + spoken.LATE + spoken.WINDOW / 2, abs=0.051)
    assert ends == pytest.approx(2.0 + spoken.LATE + spoken.WINDOW / 2, abs=0.15)
    assert not heard[times > 2.2 + spoken.LATE + spoken.WINDOW].any()


@pytest.mark.parametrize(("start", "near"), [(1.0, True), (1.5, True), (1.7, False), (0.0, False)])
def test_a_movement_lies_beside_speech(start: float, near: bool) -> None:
    event = Event(1.0, 1.2, 1.4, 0.02, ("AU04",))
    assert spoken.beside(event, [(start, start + 0.5)]) is near


@pytest.mark.slow
def test_who_does_not_listen_reports_what_a_silent_track_does() -> None:
    network = SpotterNetwork.load(load_manifest(models_folder(None)).network("micro").read())
    track = GENERATORS["muscles"](
        np.random.default_rng(7), Condition(seconds=40.0, noise=0.001, events=9)
    )
    silent = replace(track, kinds={**track.kinds, "speech": []})
    always = replace(track, kinds={**track.kinds, "speech": [(0.0, 60.0)]})
    unheard = spoken.spot(network, track, listening=False)
    assert spoken.spot(network, silent, listening=True) == unheard
    mouth = {"AU10", "AU12", "AU14", "AU15", "AU17", "AU18", "AU20", "AU24", "AU25", "AU26"}
    assert any(mouth.intersection(event.action_units) for event in unheard)
    for event in spoken.spot(network, always, listening=True):
        assert mouth.isdisjoint(event.action_units)


def _expression(name: str, unsure: bool = False) -> Expression:
    probabilities = np.full(len(EXPRESSIONS), 0.02, np.float32)
    probabilities[EXPRESSIONS.index(name)] = 0.86
    return Expression(probabilities, unsure, 0.0, 0.0, np.zeros(12, np.float32))


def test_figures_count_what_changes_while_a_face_talks() -> None:
    speaks = np.array([False, False, True, True, True, True])
    calm = Talk(1, "as it is", [], speaks)
    glad = Talk(2, "happiness", [], speaks)
    neutral, happy = _expression("neutral"), _expression("happiness")
    doubted = _expression("surprise", unsure=True)
    report = talking.figures(
        [
            (calm, [neutral, neutral, neutral, happy, doubted, neutral]),
            (glad, [happy, happy, happy, happy, happy, neutral]),
        ]
    )
    values = {name: figure["value"] for name, figure in report.items()}
    assert values == {
        "agree": 0.625, "kept": 0.75, "false": 0.5, "false_sure": 0.25, "changes": 0.5,
        "unsure": 0.125,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("head_pack")
def test_a_photograph_rests_and_then_talks() -> None:
    plain: dict[str, Any] = {"expression": "neutral", "yaw": (0, 0), "pitch": (0, 0)}
    drawn = next(faces(1, seed=4, size=112, **plain))
    photograph = render(replace(drawn.scene, coefficients=np.zeros(57, np.float32)))
    face = fit(photograph.picture, photograph.landmarks, np.zeros(57, np.float32))
    film = talking._talk(np.random.default_rng(2), 7, face, photograph.landmarks, "as it is")
    assert {crop.shape for crop in film.crops} == {(48, 48)}
    assert len(film.crops) == len(film.speaks) == 40
    crops = np.stack(film.crops).astype(float)
    away = np.abs(crops - np.median(crops[~film.speaks], axis=0))
    mouth = away[:, 30:46, 14:34].mean((1, 2))
    assert mouth[film.speaks].mean() > 1.3 * mouth[~film.speaks].mean()


FIGURE = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 9}
CLIP = {"found": 3, "minutes": 10.0, "per_minute": 0.3, "hits": 5, "planted": 10, "recall": 0.5}
MICRO = {"recall": FIGURE, "false_per_minute": FIGURE}
TALKING = dict.fromkeys(("agree", "kept", "false", "false_sure", "changes", "unsure"), FIGURE)
REAL = {"seconds": 5.7, "changes": 0.1, "false": 0.3, "false_sure": 0.1, "unsure": 0.2}
REPORT: dict[str, Any] = {
    "minutes": 12,
    "photographs": 40,
    "clips": {"unknown": CLIP | {"per_minute": 4.2}, "known": CLIP},
    "synthetic": [{"generator": "muscles", "unknown": MICRO, "known": MICRO}],
    "talking": {"unknown": TALKING, "known": TALKING},
    "foreman": {"unknown": REAL, "known": REAL},
}


def test_each_card_gets_its_section_between_its_markers(tmp_path: Path) -> None:
    begin, end = speech.MARKERS
    ours = cast("Ours", SimpleNamespace(card=lambda name: tmp_path / f"{name}.md"))
    with pytest.raises(ToolError):
        speech.write(REPORT, ours)
    for name in ("micro", "expression"):
        (tmp_path / f"{name}.md").write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    assert len(speech.write(REPORT, ours)) == 2
    micro, expression = ((tmp_path / f"{n}.md").read_text() for n in ("micro", "expression"))
    for text in (micro, expression):
        assert text.startswith(f"before\n{begin}\n")
        assert text.endswith(f"{end}\nafter\n")
        assert "\nold\n" not in text
    assert "4.20 (3 in 10)" in micro
    assert "foreman" in expression
    clean = {key: value for key, value in REPORT.items() if key not in ("clips", "synthetic")}
    assert speech.write(clean, ours) == [tmp_path / "expression.md"]
    assert speech.section(clean) == speech.expression_section(clean)
    assert speech.micro_section(REPORT) in speech.section(REPORT)
