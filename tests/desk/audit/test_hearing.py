"""The voice and the words of a run are found in whatever form they leave, and nowhere else."""

from __future__ import annotations

import base64
import gzip
import io
import json
import struct
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from agent.base.report import to_json
from agent.desk.audit import _codecs, _encodings
from agent.desk.audit._artifacts import Artifact, Finding
from agent.desk.audit._canary import PERIOD, RATE, make
from agent.desk.audit._contents import _A_LAW, _MU_LAW
from agent.desk.audit._hearing import HearingSearch
from agent.desk.audit._sound import SoundMatcher
from agent.desk.audit._voice_controls import compressed, log_mel
from agent.voice.frames import measure
from tests.summaries import summary

CANARY = make(1)
VOICE = CANARY.sound[RATE : 2 * RATE]
"""One second."""
WORD = CANARY.words[2]

ROT13 = str.maketrans("abcdefghijklmnopqrstuvwxyz", "nopqrstuvwxyzabcdefghijklm")

Float = npt.NDArray[np.float32]


@cache
def hearing_search() -> HearingSearch:
    """For the canary; it keeps the spectra that it has computed of the voice."""
    return HearingSearch(CANARY)


def search(data: bytes) -> list[Finding]:
    hearing = hearing_search()
    hearing._seen.clear()
    artifact = Artifact("test", "other", data)
    return [*hearing.words(artifact), *hearing.sound(artifact, 0, data)]


def at(rate: int) -> Float:
    """The second at another rate."""
    spectrum = np.fft.rfft(VOICE)
    count = len(VOICE) * rate // RATE
    other = np.zeros(count // 2 + 1, complex)
    least = min(len(other), len(spectrum))
    other[:least] = spectrum[:least]
    return np.asarray(np.fft.irfft(other, count) * count / len(VOICE), np.float32)


def pcm(sound: Float, code: str = "<i2", gain: float = 0.9) -> bytes:
    return (sound * gain * (2.0 ** (8 * np.dtype(code).itemsize - 1) - 1)).astype(code).tobytes()


def companded(sound: Float, table: Float) -> bytes:
    nearest = np.abs(table[None, :] - sound[:, None] * np.abs(table).max()).argmin(1)
    return nearest.astype(np.uint8).tobytes()


def coded(codec: str, form: str, rate: int, kbits: int = 24) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=form) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = 1000 * kbits
        samples = np.rint(VOICE * 32_000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(format=stream.format.name, layout="mono", rate=rate)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return file.getvalue()


def opus_packets() -> list[bytes]:
    with av.open(io.BytesIO(coded("libopus", "ogg", 48_000))) as file:
        return [bytes(each) for each in file.demux(audio=0) if each.size]


def wav() -> bytes:
    return coded("pcm_s16le", "wav", RATE)


def zipped(array: npt.NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, a=array)
    return file.getvalue()


def saved(array: npt.NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


SOUNDS: dict[str, Callable[[], bytes]] = {
    "16-bit": lambda: pcm(VOICE),
    "16-bit, at an odd place": lambda: b"{" + pcm(VOICE),
    "16-bit, big endian": lambda: pcm(VOICE, ">i2"),
    "16-bit, quiet": lambda: pcm(VOICE, gain=0.01),
    "16-bit, inverted": lambda: pcm(-VOICE),
    "16-bit, a quarter of a second": lambda: pcm(VOICE[4000:8000]),
    "16-bit at 8 kHz": lambda: pcm(at(8000)),
    "16-bit at 11 kHz": lambda: pcm(at(11_025)),
    "16-bit at 44.1 kHz": lambda: pcm(at(44_100)),
    "16-bit, two channels at 48 kHz": lambda: pcm(np.repeat(at(48_000), 2)),
    "16-bit, the left channel": lambda: pcm(np.stack([VOICE, np.zeros_like(VOICE)], 1).ravel()),
    "32-bit": lambda: pcm(VOICE, "<i4"),
    "float16": lambda: VOICE.astype("<f2").tobytes(),
    "float32": lambda: VOICE.tobytes(),
    "float32, big endian": lambda: VOICE.astype(">f4").tobytes(),
    "float64": lambda: VOICE.astype("<f8").tobytes(),
    "float32 in an array's file": lambda: saved(VOICE),
    "8-bit at 8 kHz": lambda: (at(8000) * 120 + 128).astype(np.uint8).tobytes(),
    "mu-law at 8 kHz": lambda: companded(at(8000), _MU_LAW),
    "A-law at 8 kHz": lambda: companded(at(8000), _A_LAW),
    "numbers in text": lambda: json.dumps(at(8000).round(3).tolist()).encode(),
    "PCM in gzip": lambda: gzip.compress(pcm(VOICE)),
    "WAV in base64": lambda: base64.b64encode(wav()),
    "PCM in hexadecimal": lambda: pcm(VOICE[:8000]).hex().encode(),
    "Opus in Ogg": lambda: coded("libopus", "ogg", 48_000, 8),
    "Opus in Ogg in base64 in JSON": lambda: json.dumps(
        {"note": base64.b64encode(compressed(VOICE)).decode()}
    ).encode(),
    "Opus packets behind their lengths": lambda: b"".join(
        struct.pack("<H", len(each)) + each for each in opus_packets()
    ),
    "Opus packets in lines of base64": lambda: b"\n".join(
        b"perceive: " + base64.b64encode(each) for each in opus_packets()
    ),
    "MP3": lambda: coded("libmp3lame", "mp3", RATE),
    "AAC": lambda: coded("aac", "adts", RATE),
    "FLAC": lambda: coded("flac", "flac", RATE),
    "AAC in MP4": lambda: coded("aac", "mp4", RATE),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SOUNDS)
def test_sound_is_found_in_every_form(name: str) -> None:
    found = {each.detector for each in search(SOUNDS[name]())}
    assert "sound" in found


@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_sound_is_found_wherever_it_begins(start: int) -> None:
    """Also half a sample beside those that are compared, for voices of any run."""
    for seed in (34, 39, 49):
        canary = make(seed)
        matcher = SoundMatcher(canary.sound)
        found = matcher(canary.sound[RATE + start : 2 * RATE + start])
        assert found is not None, seed
        assert found.correlation > 0.7, seed


@pytest.mark.parametrize("seed", range(3))
def test_other_series_are_not_the_voice(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matcher = SoundMatcher(make(seed).sound)
    time = np.arange(RATE) / RATE
    for series in (
        rng.standard_normal(RATE).cumsum(),
        np.sin(2 * np.pi * (rng.uniform(50, 3000) * time + rng.uniform(-2000, 2000) * time**2)),
        np.arange(RATE) % rng.integers(3, 300),
        np.sign(np.sin(2 * np.pi * rng.uniform(50, 400) * time)),
    ):
        assert matcher(series.astype(np.float32)) is None


FILES: dict[str, Callable[[], bytes]] = {
    "WAV": wav,
    "Ogg": lambda: coded("libopus", "ogg", 48_000),
    "FLAC": lambda: coded("flac", "flac", RATE),
    "MP3": lambda: coded("libmp3lame", "mp3", RATE),
    "AAC": lambda: coded("aac", "adts", RATE),
    "AIFF": lambda: coded("pcm_s16be", "aiff", RATE),
    "AU": lambda: coded("pcm_s16be", "au", RATE),
    "Matroska": lambda: coded("libopus", "webm", 48_000),
    "MP4": lambda: coded("aac", "mp4", RATE),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_sound_are_known_by_their_first_bytes(name: str) -> None:
    data = FILES[name]()
    every = [*_codecs.signatures(b"xy" + data), *_encodings.signatures(b"xy" + data)]
    assert any(name in found for _, found in every)


def cepstra(count: int = 13) -> Float:
    bands = log_mel(VOICE)
    angle = np.pi / bands.shape[1] * (np.arange(bands.shape[1]) + 0.5)[:, None]
    return np.asarray(bands @ np.cos(angle * np.arange(count)), np.float32)


def amplitudes(size: int, hop: int) -> Float:
    view = np.lib.stride_tricks.sliding_window_view(VOICE, size)[::hop]
    return np.abs(np.fft.rfft(view * np.hanning(size))).astype(np.float32)


SPECTRA: dict[str, Callable[[], bytes]] = {
    "log-mel": lambda: log_mel(VOICE).tobytes(),
    "log-mel, float16": lambda: log_mel(VOICE).astype(np.float16).tobytes(),
    "log-mel, 8-bit": lambda: np.clip(log_mel(VOICE) * 12 + 160, 0, 255).astype("u1").tobytes(),
    "log-mel, a row per band": lambda: np.ascontiguousarray(log_mel(VOICE).T).tobytes(),
    "log-mel behind a header": lambda: b"seven b" + log_mel(VOICE).tobytes(),
    "log-mel from the middle of a row": lambda: log_mel(VOICE).tobytes()[68:],
    "log-mel in an array's file": lambda: saved(log_mel(VOICE).astype(np.float16)),
    "log-mel in a compressed file": lambda: zipped(log_mel(VOICE)),
    "log-mel as numbers in text": lambda: json.dumps(log_mel(VOICE).round(2).tolist()).encode(),
    "the agent's own bands": lambda: measure(VOICE).bands.tobytes(),
    "the agent's own cepstra": lambda: measure(VOICE).cepstra.tobytes(),
    "mel, not as a logarithm": lambda: np.exp(log_mel(VOICE)).tobytes(),
    "cepstra": lambda: cepstra().tobytes(),
    "amplitudes of a Fourier transform": lambda: amplitudes(512, 160).tobytes(),
    "amplitudes every 16 ms": lambda: amplitudes(1024, 256).tobytes(),
    "decibels, float16": lambda: (
        (20 * np.log10(amplitudes(400, 160) + 1e-4)).astype(np.float16).tobytes()
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECTRA)
def test_spectra_are_found_in_every_form(name: str) -> None:
    found = {each.detector for each in search(SPECTRA[name]())}
    assert "spectrum" in found


def hexadecimal(text: bytes) -> bytes:
    return ", ".join(hex(each) for each in text).encode()


WORDS: dict[str, Callable[[], bytes]] = {
    "plain": lambda: WORD.encode(),
    "capitals": lambda: WORD.upper().encode(),
    "title": lambda: WORD.title().encode(),
    "UTF-16": lambda: WORD.encode("utf-16"),
    "UTF-16, big endian": lambda: WORD.encode("utf-16-be"),
    "UTF-32": lambda: WORD.encode("utf-32"),
    "backwards": lambda: WORD[::-1].encode(),
    "spaced": lambda: " ".join(WORD).encode(),
    "a list of letters": lambda: json.dumps(list(WORD)).encode(),
    "hexadecimal": lambda: WORD.encode().hex().encode(),
    "0x": lambda: hexadecimal(WORD.encode()),
    "escaped": lambda: "".join(f"\\u{ord(each):04x}" for each in WORD).encode(),
    "percent": lambda: "".join(f"%{ord(each):02X}" for each in WORD).encode(),
    "decimal": lambda: str([*WORD.encode()]).encode(),
    "base64": lambda: base64.b64encode(b"a" + WORD.encode()),
    "base64 of UTF-16": lambda: base64.b64encode(WORD.encode("utf-16-le")),
    "base32": lambda: base64.b32encode(b"xyz" + WORD.encode()),
    "base85": lambda: base64.b85encode(b"ab" + WORD.encode() + b"cde"),
    "ASCII85": lambda: base64.a85encode(b"abc" + WORD.encode()),
    "rot13": lambda: WORD.translate(ROT13).encode(),
    "inverted": lambda: bytes(255 - each for each in WORD.encode()),
    "the line in gzip in base64": lambda: base64.b64encode(gzip.compress(CANARY.line.encode())),
    "the line in a ZIP file": lambda: _zip(CANARY.line.encode()),
}


def _zip(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", content * 3)
    return file.getvalue()


@pytest.mark.parametrize("name", WORDS)
def test_one_word_is_found_in_every_form(name: str) -> None:
    data = b"uplink: Connected to 127.0.0.1:1883, MQTT 5.0\n" + WORDS[name]() + b" x\n"
    assert "phrase" in {each.detector for each in search(data)}


REPOSITORY = Path(__file__).parents[3]
TIME = np.arange(4000)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


HONEST: dict[str, Callable[[], bytes]] = {
    "random": lambda: rng().bytes(20_000),
    "summaries": lambda: b"".join(to_json(summary(number)) for number in range(40)),
    "counter": lambda: np.arange(2000, dtype="<u4").tobytes(),
    "samples of a ramp": lambda: TIME.astype("<i2").tobytes(),
    "sine": lambda: (20_000 * np.sin(TIME / 7)).astype("<i2").tobytes(),
    "chirp": lambda: np.sin(TIME**2 / 2e5).astype("<f4").tobytes(),
    "random walk": lambda: rng().standard_normal(3000).cumsum().astype("<f4").tobytes(),
    "pulses": lambda: (TIME % 137 == 0).astype("<f4").tobytes(),
    "steps": lambda: np.repeat(rng().integers(0, 255, 120), 40).astype(np.uint8).tobytes(),
    "model": lambda: next(REPOSITORY.glob("models/*/*.tflite")).read_bytes()[20_000:40_000],
    "source": lambda: (REPOSITORY / "agent/desk/audit/_database.py").read_bytes(),
    "another voice": lambda: pcm(make(2).sound[: 2 * RATE]),
    "another voice's spectrum": lambda: log_mel(make(3).sound[: 2 * RATE]).tobytes(),
    "another voice's cepstra": lambda: measure(make(4).sound[: 2 * RATE]).cepstra.tobytes(),
    "another run's line": lambda: make(5).line.encode(),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HONEST)
def test_other_bytes_hold_neither_voice_nor_words(name: str) -> None:
    assert [each.what for each in search(HONEST[name]())] == []


def test_each_run_says_something_else() -> None:
    one, other = make(), make()
    assert not set(one.words) & set(other.words)
    assert len(one.words) == 6
    assert all(each in one.line for each in one.words)
    assert one.sound.shape == (PERIOD * RATE,)
    assert 0.03 < one.sound.std() < np.abs(one.sound).max() < 0.7
    assert abs(float(one.sound @ other.sound)) < 0.1 * float(one.sound @ one.sound)
    assert np.array_equal(make(9).sound, make(9).sound)
