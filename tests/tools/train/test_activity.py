"""Streams, noises and targets of the training of voice activity."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from agent.base.types import Float
from agent.voice.activity import COLUMNS, ROWS, STEP
from agent.voice.sound import FRAME, HOP, RATE
from tools.eval.activity.noises import UNSEEN
from tools.train.activity import noises, streams, synthetic, teacher, voices
from tools.train.activity.streams import Talk


def voice(seconds: float, height: float = 0.2) -> Float:
    time = np.arange(round(seconds * RATE)) / RATE
    sound = np.sign(np.sin(2 * np.pi * 140 * time)) * height
    sound[: RATE // 5] = 0
    return sound.astype(np.float32)


@pytest.mark.parametrize("kind", [*noises.KINDS, *UNSEEN])
def test_noises_are_sound_as_long_as_asked_for_and_new_with_each_seed(kind: str) -> None:
    make = (noises.KINDS | UNSEEN)[kind]
    one, again, other = (make(np.random.default_rng(seed), RATE) for seed in (1, 1, 2))
    assert one.shape == (RATE,)
    assert np.isfinite(one).all()
    assert one.std() > 0
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0


def test_kinds_that_measure_are_not_in_training() -> None:
    assert not set(UNSEEN) & set(noises.KINDS)


def test_any_kind_is_drawn_at_one_level() -> None:
    rng = np.random.default_rng(0)
    for _ in range(12):
        sound = noises.drawn(rng, RATE, [voice(0.7)])
        assert sound.shape == (RATE,)
        np.testing.assert_allclose(sound.std(), 1.0, rtol=1e-3)


def test_a_talk_knows_where_it_is_spoken() -> None:
    clean = streams.talk(np.random.default_rng(4), [voice(1.0), voice(2.0, 0.01)], 40.0, False)
    assert len(clean.spoken) == (40 * RATE - FRAME) // HOP + 1
    loud = np.array([np.square(clean.sound[i * HOP : i * HOP + FRAME]).mean() for i in range(3900)])
    assert np.mean((loud > 1e-4) == (clean.spoken[:3900] > 0.5)) > 0.98  # but for edges
    assert 0.2 < clean.spoken.mean() < 0.9
    np.testing.assert_allclose(np.sqrt(streams.power(clean)), streams.LEVEL, rtol=0.1)


def test_noise_is_mixed_at_the_ratio_asked_for() -> None:
    clean = streams.talk(np.random.default_rng(4), [voice(1.0)], 10.0, False)
    hiss = np.random.default_rng(1).normal(size=len(clean.sound)).astype(np.float32)
    added = streams.mixed(clean, hiss, 5.0) - clean.sound
    ratio = 10 * np.log10(streams.power(clean) / np.square(added).mean())
    np.testing.assert_allclose(ratio, 5.0, atol=0.05)
    assert streams.mixed(clean, hiss, None) is clean.sound


def test_disturbed_talk_stays_in_step_with_its_labels() -> None:
    """Even after rooms and microphones a click is where it was."""
    sound = np.zeros(20 * RATE, np.float32)
    sound[10 * RATE] = 0.9
    spoken = np.ones((20 * RATE - FRAME) // HOP + 1, np.float32)
    clean = Talk(sound, spoken)
    kept_some = False
    for seed in range(8):
        rng = np.random.default_rng(seed)
        heard, kept = streams.disturbed(rng, clean, lambda rng, count: np.zeros(count, np.float32))
        assert heard.shape == sound.shape
        assert np.abs(heard).max() <= 1
        assert set(np.unique(kept)) <= {0.0, 1.0}
        if kept[10 * RATE // HOP]:
            kept_some = True
            assert abs(int(np.abs(heard).argmax()) - 10 * RATE) < 0.005 * RATE
    assert kept_some


def test_reverberation_outlasts_the_speech() -> None:
    sound = np.zeros(2 * RATE, np.float32)
    sound[:RATE] = voice(1.0)
    clean = Talk(sound, np.ones(10, np.float32))
    far = streams.reverberant(np.random.default_rng(0), clean, 0.8)
    assert far.spoken is clean.spoken
    assert np.abs(far.sound[RATE : RATE + RATE // 4]).mean() > 1e-3
    assert np.abs(far.sound[-RATE // 10 :]).mean() < np.abs(far.sound[RATE : RATE + 800]).mean()


def test_the_teacher_s_chunks_become_frames() -> None:
    chunks = np.array([0, 0, 1, 1], np.float32)
    told = teacher.at_frames(chunks, 10)
    middle = np.arange(10) * HOP + FRAME / 2
    assert (told[middle <= 1.5 * teacher.CHUNK] == 0).all()
    assert (told[middle >= 2.5 * teacher.CHUNK] == 1).all()
    assert (np.diff(told) >= 0).all()


def test_voices_are_kept_in_sixteen_bits(tmp_path: Path) -> None:
    sounds = [voice(0.3), voice(0.5, 0.9)]
    voices.keep(tmp_path / "some.npz", sounds)
    for one, other in zip(sounds, voices.kept(tmp_path / "some.npz"), strict=True):
        assert other.dtype == np.float32
        np.testing.assert_allclose(one, other, atol=1 / 32767)


def test_synthesisers_that_are_absent_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(SystemExit, match="espeak-ng and flite"):
        synthetic.utterances(1, False)


def test_validation_has_voices_of_its_own() -> None:
    rng = np.random.default_rng(0)
    heard, kept = (
        {_voice_of(synthetic._command(rng, valid)) for _ in range(300)} for valid in (False, True)
    )
    assert len(heard) > 20
    assert not heard & kept


def _voice_of(command: Sequence[str]) -> str:
    return command[2].rpartition("+")[2]


def test_the_network_answers_a_stretch_as_it_answers_each_window() -> None:
    torch = pytest.importorskip("torch", reason="training is not installed")
    from tools.train.activity.net import ActivityNet

    net = ActivityNet().eval()
    rows = torch.rand(1, 1, ROWS + 3 * STEP, COLUMNS)
    with torch.no_grad():
        whole = net(rows)[0]
        for k in range(4):
            one = net(rows[:, :, k * STEP : k * STEP + ROWS])[0]
            assert one.shape == (STEP,)
            torch.testing.assert_close(whole[k * STEP : (k + 1) * STEP], one)


def test_area_under_the_curve() -> None:
    pytest.importorskip("torch", reason="training is not installed")
    from tools.train.activity.loop import auc

    truth = np.array([False, False, True, True])
    assert auc(np.array([0.1, 0.4, 0.35, 0.8], np.float32), truth) == 0.75
    assert auc(np.array([0, 0, 0, 0], np.float32), truth) == 0.5
    assert np.isnan(auc(np.array([0, 1, 2, 3], np.float32), truth | True))
