"""The clip's voices: what is planted in the synthesis is what can be measured in the sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agent.base.assets import CLIP
from agent.base.types import TONES, Float
from agent.desk.trace import truth as script
from agent.voice.frames import Frames, measure
from agent.voice.prosody import NAMES, functionals
from tools.demo import dialogue, encode, sound
from tools.demo.voice import MANNERS, RATE, Manner, Voice, seconds, speak
from tools.demo.voice.score import parse, score

WOMAN, MAN = Voice(190.0, 1.16), Voice(110.0, 1.0)
LINE = "AY W IH1 L B IY AA N DH AH R OW1 D AH G EH1 N , AE T N AY1 N"
STEADY = replace(
    MANNERS["neutral"], pitch=0.0, accent=0.0, phrase=0.0, final=0.0, jitter=0.0, shimmer=0.0,
    breath=0.001, first_formant=1.0, reduction=0.0,
)  # fmt: skip


def vowel(name: str, voice: Voice, manner: Manner = STEADY) -> Frames:
    """The middle of one long vowel."""
    spoken = speak(f"{name}1 {name}1 {name}1", voice, manner, 1)
    return measure(spoken[len(spoken) // 3 : 2 * len(spoken) // 3])


@pytest.mark.parametrize(("voice", "semitones"), [(WOMAN, 0.0), (MAN, 0.0), (MAN, 7.0)])
def test_the_pitch_is_the_one_that_was_planted(voice: Voice, semitones: float) -> None:
    pitch = vowel("AA", voice, replace(STEADY, pitch=semitones)).pitch()
    assert (pitch > 0).all()
    assert np.median(pitch) == pytest.approx(voice.pitch * 2 ** (semitones / 12), rel=0.02)


def level(name: str, low: float, high: float) -> float:
    """dB of a man's long vowel between two frequencies."""
    spoken = speak(f"{name}1 {name}1", MAN, STEADY, 1)
    middle = spoken[len(spoken) // 4 : 3 * len(spoken) // 4]
    power = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) ** 2
    hertz = np.fft.rfftfreq(len(middle), 1 / RATE)
    return float(10 * np.log10(power[(hertz >= low) & (hertz < high)].mean()))


def test_vowels_differ_where_their_formants_do() -> None:
    assert level("IY", 2000, 2600) > level("IY", 900, 1500) + 6
    assert level("AA", 600, 1250) > level("AA", 150, 450) > level("AA", 1700, 2200)
    assert level("UW", 650, 1050) > level("UW", 1800, 2600) + 6


def test_noise_and_perturbation_can_be_heard() -> None:
    calm, rough = vowel("AA", MAN), vowel("AA", MAN, replace(STEADY, jitter=0.03, shimmer=0.1))
    assert np.nanmean(rough.jitter) > 2 * np.nanmean(calm.jitter)
    assert np.nanmean(rough.shimmer) > 1.5 * np.nanmean(calm.shimmer)
    breathy = vowel("AA", MAN, replace(STEADY, breath=0.2))
    assert breathy.harmonicity.mean() < calm.harmonicity.mean() - 0.05
    hiss = measure(speak("S S S S S S", MAN, STEADY, 1)[RATE // 5 : RATE // 2])
    high = hiss.bands[:, 20:].mean() - hiss.bands[:, 3:10].mean()
    assert (hiss.pitch() == 0).mean() > 0.8
    assert high > 1


def test_the_tones_differ_as_listeners_describe_them() -> None:
    """Directions of Juslin & Laukka 2003, Table 7, for speakers of both sexes."""
    for voice in (WOMAN, MAN):
        heard: dict[str, dict[str, float]] = {}
        length = {tone: seconds(LINE, voice, MANNERS[tone]) for tone in TONES}
        level: dict[str, float] = {}
        for tone in TONES:
            spoken = speak(LINE, voice, MANNERS[tone], 3)
            level[tone] = float(np.sqrt(np.mean(spoken**2)))
            frames = measure((spoken * (0.05 / level[tone])).astype(np.float32))
            values = functionals(frames, frames.level > frames.level.max() - 30)
            heard[tone] = dict(zip(NAMES, map(float, values), strict=True))
        assert level["angry"] > level["happy"] > level["neutral"] > level["sad"]
        assert max(length["happy"], length["angry"]) < length["neutral"] < length["sad"]

        def of(name: str, heard: dict[str, dict[str, float]] = heard) -> dict[str, float]:
            return {tone: values[name] for tone, values in heard.items()}

        pitch, moved = of("pitch, mean"), of("pitch, variation")
        assert min(pitch["happy"], pitch["angry"]) > max(pitch["neutral"], pitch["sad"]) + 4
        assert moved["happy"] > 1.3 * moved["neutral"]
        assert moved["sad"] < moved["neutral"]
        bright = of("alpha ratio, voiced, mean")
        assert max(bright["angry"], bright["happy"]) + 3 < min(bright["neutral"], bright["sad"])


def test_the_same_seed_gives_the_same_samples() -> None:
    one = speak("HH EH L OW1", WOMAN, MANNERS["happy"], 5)
    assert one.dtype == np.float32
    assert np.array_equal(one, speak("HH EH L OW1", WOMAN, MANNERS["happy"], 5))
    assert not np.array_equal(one, speak("HH EH L OW1", WOMAN, MANNERS["happy"], 6))
    assert len(one) == pytest.approx(seconds("HH EH L OW1", WOMAN, MANNERS["happy"]) * RATE, abs=2)
    assert np.abs(one).max() < 1.0


def test_the_score_follows_the_line() -> None:
    first, pause, second = parse("AA1 , T")
    assert pause is None
    assert first is not None
    assert first.stress
    assert second is not None
    assert not second.stress
    plan = score("S AA1 T", MAN, STEADY)
    assert plan.formants.shape == (len(plan.pitch), 8)
    assert (np.diff(plan.formants, axis=1) > 0).all()
    loudest, hissing = plan.voicing.argmax(), plan.frication[: len(plan.pitch) // 3].argmax()
    assert hissing < loudest
    with pytest.raises(KeyError):
        score("AA1 QX", MAN, STEADY)


def test_speech_is_planted_where_its_owner_can_be_known() -> None:
    """A visit's where one visitor has arrived and nobody else is near; the room's where two are. No
    mouth that speaks moves in a planted micro-expression."""
    truth = script.load()
    for each in truth.speech:
        present = [
            name for name, enter, gone in truth.visitors if enter < each.end and gone > each.start
        ]
        if each.belongs == "visit":
            assert len(present) == 1, each
        else:
            assert all(
                sum(a + 0.6 < t < b - 0.6 for _, a, b in truth.visitors) != 1
                for t in (each.start, each.end)
            )
        for event in truth.events:
            if event.kind == "micro" and event.polarity == "positive":
                assert event.offset + 0.5 < each.start or each.end + 0.5 < event.onset


def _heard(path: Path) -> Float:
    import av

    parts = []
    with av.open(str(path)) as file:
        assert file.streams.audio[0].rate == RATE
        for frame in file.decode(audio=0):
            parts.append(frame.to_ndarray()[0])
    return np.concatenate(parts).astype(np.float32)


@pytest.mark.slow
def test_the_clip_speaks_where_the_truth_says() -> None:
    truth = script.load()
    heard = _heard(CLIP)
    assert len(heard) / RATE == pytest.approx(truth.duration, abs=0.2)
    made = sound.in_room(dialogue.sound(truth.duration), seed=14)
    count = min(len(heard), len(made))
    # AAC keeps waveforms of low frequencies: the committed track is what is made again
    assert np.corrcoef(heard[:count], made[:count])[0, 1] > 0.9
    spoken = np.zeros(count, bool)
    for each in truth.speech:
        part = slice(round(each.start * RATE), round(each.end * RATE))
        spoken[part] = True
        assert 20 * np.log10(heard[part].std()) > -40, each
    echo = round(0.2 * RATE)
    near = np.convolve(spoken, np.ones(2 * echo + 1), "same") > 0.5
    assert 20 * np.log10(heard[:count][~near].std()) < -55


@pytest.mark.slow
def test_a_sound_track_leaves_the_pictures_as_they_are(tmp_path: Path) -> None:
    import av

    def packets(path: Path) -> list[tuple[int | None, bytes]]:
        with av.open(str(path)) as file:
            return [(p.pts, bytes(p)) for p in file.demux(video=0) if p.size]

    clip = tmp_path / "clip.mp4"
    rng = np.random.default_rng(1)
    frames = [rng.integers(0, 255, (64, 64, 3), np.uint8) for _ in range(60)]
    encode.write(frames, clip, 30)
    before = packets(clip)
    assert len(before) == 60
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.float32)
    for _ in range(2):  # the second one replaces the first
        encode.add_sound(clip, tone, RATE)
        assert packets(clip) == before
        heard = _heard(clip)
        assert len(heard) == pytest.approx(len(tone), abs=2048)
        assert np.corrcoef(heard[: len(tone)], tone)[0, 1] > 0.95
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_no_sound_track_for_what_is_no_clip(tmp_path: Path) -> None:
    broken = tmp_path / "clip.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(encode.EncodeError, match="cannot be given a sound track"):
        encode.add_sound(broken, np.zeros(RATE, np.float32), RATE)
    assert broken.read_bytes() == b"no video"
    with pytest.raises(encode.EncodeError):
        encode.add_sound(tmp_path / "absent.mp4", np.zeros(RATE, np.float32), RATE)


def test_the_room_keeps_the_voice_and_adds_its_own() -> None:
    dry = np.zeros(RATE, np.float32)
    dry[4000:8000] = speak("AA1 AA1 AA1", MAN, STEADY, 1)[:4000]
    wet = sound.in_room(dry, 1)
    assert np.corrcoef(wet, dry)[0, 1] > 0.85
    assert -70 < 20 * np.log10(wet[12000:].std()) < -55
    assert wet[8000:8800].std() > 3 * wet[12000:].std()
