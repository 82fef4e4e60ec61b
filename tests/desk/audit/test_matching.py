"""Pictures of the video are found in every encoding, without false positives."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import kernels
from agent.base.report import to_json
from agent.desk.audit._artifacts import Artifact
from agent.desk.audit._encodings import decodings
from agent.desk.audit._matching import PixelIndex, Vectors, match_picture
from agent.desk.audit._reference import Picture, Reference, informative
from tests.desk.audit.clip import SIZE, frames, write
from tests.summaries import summary

FRAMES = frames(14)
SMALL = cv2.resize(FRAMES[10], (32, 24), interpolation=cv2.INTER_AREA)
FLAT = SMALL.reshape(-1)
RAW = FLAT.tobytes()

Video = tuple[Reference, list[list[Picture]]]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Video:
    """The video, and all its pictures, which fit into memory here."""
    reference = Reference(write(tmp_path_factory.mktemp("video") / "clouds.mkv", FRAMES))
    return reference, list(reference.pictures())


def index_of(data: bytes) -> PixelIndex:
    artifact = Artifact("test", "other", data)
    return PixelIndex([(artifact, each) for each in decodings(data)])


def found_in(data: bytes, pictures: list[list[Picture]]) -> list[str]:
    index = index_of(data)
    for each in pictures:
        index.look_up(each)
    return [each.what for each in index.findings()]


def test_the_video_is_seen_as_it_is(video: Video) -> None:
    reference, pictures = video
    assert reference.frames == reference.searched == reference.textured == len(FRAMES)
    assert not reference.weak
    assert np.array_equal(pictures[10][0].pixels, FRAMES[10])


def as_json(values: npt.NDArray[np.generic]) -> bytes:
    return json.dumps({"a": values.tolist()}).encode()


WAYS: dict[str, Callable[[], bytes]] = {
    "raw": lambda: RAW,
    "a row of the full frame": lambda: FRAMES[7][60, 30:90].tobytes(),
    "columns first": lambda: np.ascontiguousarray(FRAMES[7].T)[40, 20:80].tobytes(),
    "every second pixel": lambda: FRAMES[9][::2, ::2].tobytes()[:500],
    "inverted": lambda: (255 - FLAT).tobytes(),
    "as int8": lambda: (FLAT.astype(np.int16) - 128).astype(np.int8).tobytes(),
    "thumbnail's columns first": lambda: np.ascontiguousarray(SMALL.T).tobytes(),
    "deltas": lambda: np.diff(FLAT, prepend=np.uint8(0)).tobytes(),
    "deltas in base64": lambda: base64.b64encode(np.diff(FLAT, prepend=np.uint8(0)).tobytes()),
    "base64": lambda: base64.b64encode(RAW),
    "base64 in lines": lambda: base64.encodebytes(RAW),
    "base64 in lines of JSON": lambda: json.dumps(base64.encodebytes(RAW).decode()).encode(),
    "base64url": lambda: base64.urlsafe_b64encode(RAW).rstrip(b"="),
    "hex": lambda: RAW.hex().encode(),
    "hex with spaces": lambda: RAW.hex(" ").upper().encode(),
    "percent": lambda: b"".join(b"%%%02X" % each for each in FLAT),
    "repr": lambda: repr(RAW).encode(),
    "zlib": lambda: zlib.compress(RAW),
    "gzip in base64": lambda: base64.b64encode(gzip.compress(RAW)),
    "RGB": lambda: np.repeat(FLAT, 3).tobytes(),
    "int32": lambda: FLAT.astype("<i4").tobytes(),
    "float32": lambda: (FLAT / 255).astype("<f4").tobytes(),
    "float32, -1 to 1": lambda: (FLAT / 127.5 - 1).astype("<f4").tobytes(),
    "float32, big endian": lambda: (FLAT / 255).astype(">f4").tobytes(),
    "float16": lambda: (FLAT / 255).astype("<f2").tobytes(),
    "float64": lambda: FLAT.astype("<f8").tobytes(),
    "JSON integers": lambda: as_json(FLAT),
    "JSON rows": lambda: as_json(SMALL),
    "JSON floats": lambda: as_json((FLAT / 255).round(4)),
    "CSV": lambda: "\n".join(",".join(map(str, row)) for row in SMALL).encode(),
    "NumPy's words": lambda: np.array2string(FLAT[:200], threshold=999).encode(),
}


@pytest.mark.parametrize("way", WAYS)
def test_pixels_are_found_however_they_are_written(way: str, video: Video) -> None:
    for before in (b"", b"{};"):
        found = found_in(before + WAYS[way]() + b" \0tail", video[1])
        assert any("pixels in a row of frame" in each for each in found), before
        assert way != "raw" or found[0].startswith("768 pixels in a row of frame 10 at 32x24")


def test_another_video_is_not_taken_for_this_one(video: Video) -> None:
    other = frames(3, seed=99)
    assert found_in(b"".join(each.tobytes() for each in other), video[1]) == []


@pytest.fixture(scope="module")
def haystack() -> PixelIndex:
    """Honest bytes: summaries, random bytes, machine code, and the patterns any file may hold."""
    parts = [bytes(5000), bytes(range(256)) * 24, b"\0\0\0\0\xff\xff\xff\xff" * 400]
    parts += [to_json(summary(n)) for n in range(200)]
    parts.append(np.random.default_rng(2).integers(0, 256, 50_000, np.uint8).tobytes())
    compiled = sorted((Path(kernels.__file__).parent / "__pycache__").glob("*.nbc"))[:3]
    parts += [each.read_bytes()[:40_000] for each in compiled]
    for library in Path(cv2.__file__).parent.glob("*.so"):
        with library.open("rb") as file:
            file.seek(5_000_000)
            parts.append(file.read(150_000))
    return index_of(b"".join(parts))


def test_other_bytes_do_not_match_the_video(video: Video, haystack: PixelIndex) -> None:
    assert haystack.size > 100_000
    for pictures in video[1][::4]:
        haystack.look_up(pictures)
    assert haystack.findings() == []


def test_a_flat_and_a_striped_video_cause_no_alarm(tmp_path: Path, haystack: PixelIndex) -> None:
    ramp = np.tile(np.arange(SIZE[0], dtype=np.uint8), (SIZE[1], 1))
    stripes = np.where(np.indices((SIZE[1], SIZE[0]))[1] // 4 % 2, 255, 0).astype(np.uint8)
    black = np.zeros_like(ramp)
    for name, picture in (("black", black), ("ramp", ramp), ("stripes", stripes)):
        reference = Reference(write(tmp_path / f"{name}.mkv", [picture] * 5))
        pictures = list(reference.pictures())
        assert reference.weak == (name != "stripes")
        for each in pictures:
            haystack.look_up(each)
        assert haystack.findings() == [], name


def test_an_informative_run_has_contrast_and_steps_of_several_kinds() -> None:
    for gram in ([9] * 9, list(range(9)), list(range(0, 90, 10)), [0, 255] * 4 + [0]):
        assert not informative(np.array(gram, np.uint8))[0]
    clouds = np.array([20, 31, 25, 60, 58, 40, 44, 90, 81], np.uint8)
    assert informative(clouds).tolist() == [True]
    assert informative(np.concatenate([clouds, clouds])).shape == (10,)
    assert informative(clouds[:8]).shape == (0,)


@pytest.mark.parametrize("size", [(12, 9), (16, 12), (32, 24), (20, 20), (64, 48)])
@pytest.mark.parametrize("levels", [256, 16])
def test_a_rough_thumbnail_is_recognised(size: tuple[int, int], levels: int, video: Video) -> None:
    """Resized in another way, with noise and few levels; the bytes before it are a header."""
    rng = np.random.default_rng(3)
    small = cv2.resize(FRAMES[10], size, interpolation=cv2.INTER_LANCZOS4).astype(np.float64)
    step = 256 // levels
    rough = np.clip(small + rng.normal(0, 5, small.shape), 0, 255).astype(np.uint8) // step * step
    pixels = np.concatenate([np.array([size[0], size[1]], np.uint8), rough.reshape(-1)])
    found = match_picture(pixels, video[0].keys)
    assert found is not None
    assert (found.width, found.height) == size
    assert abs(found.frame - 10) <= 3


def test_a_part_of_a_frame_is_recognised(video: Video) -> None:
    number, key = video[0].keys[0]
    part = cv2.resize(key[20:100, 30:110], (40, 40), interpolation=cv2.INTER_AREA)
    found = match_picture(part.reshape(-1), video[0].keys)
    assert found is not None
    assert found.part
    assert found.frame == number


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), size=st.sampled_from([64, 100, 108, 768]))
@pytest.mark.slow
def test_noise_and_ramps_are_no_pictures(seed: int, size: int, video: Video) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, size).astype(np.uint8)
    assert match_picture(noise, video[0].keys) is None
    assert match_picture(np.linspace(0, 255, size).astype(np.uint8), video[0].keys) is None


TABLES: dict[str, bytes] = {
    "acknowledgements": b"".join(b"\x40\x02" + n.to_bytes(2, "big") for n in range(1, 500)),
    "counter": np.arange(1000, 1600, dtype="<u4").tobytes(),
    "times": (11_000 + np.arange(300) ** 1.01).astype("<f8").tobytes(),
    "ramp of floats": (np.arange(300) / 3).astype("<f4").tobytes(),
    "wave": (127 + 100 * np.sin(np.arange(1200) / 31)).astype(np.uint8).tobytes(),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_tables_and_counters_are_no_part_of_a_cartoon(name: str) -> None:
    """Large flat areas with sharp edges resemble a counter that wraps."""
    keys = []
    for shift in range(0, 120, 12):
        picture = np.full((240, 320), 230, np.uint8)
        picture[170:] = 90
        cv2.circle(picture, (60 + shift, 100), 45, 255, -1)
        cv2.circle(picture, (60 + shift, 100), 45, 0, 3)
        keys.append((shift, picture))
    sizes: dict[tuple[int, int], Vectors] = {}
    for decoding in decodings(TABLES[name]):
        if len(decoding.pixels) >= 64:
            assert match_picture(decoding.pixels, keys, not decoding.whole, sizes, 100) is None


def test_key_frames_cover_a_long_video(tmp_path: Path) -> None:
    """Of a video with many scenes every second one is kept, and so on; a required one always."""
    rng = np.random.default_rng(5)
    scenes = [
        cv2.resize(rng.integers(0, 256, (6, 8), np.uint8), (64, 48), interpolation=cv2.INTER_CUBIC)
        for _ in range(300)
    ]
    reference = Reference(write(tmp_path / "scenes.mkv", scenes), required=37)
    for _ in reference.pictures():
        pass
    numbers = [number for number, _ in reference.keys]
    assert 37 in numbers
    assert 60 <= len(numbers) <= 130
    assert max(np.diff([*numbers, 300])) <= 8


def test_neighbours_in_the_index_do_not_use_up_the_tries(video: Video) -> None:
    """Grams that follow a hit in the sorted index are of other places, however many there are."""
    haystack = np.random.default_rng(6).integers(0, 256, 400_000, np.uint8).tobytes()
    for before in (haystack, b""):
        found = found_in(before + base64.b64encode(RAW), video[1][8:12])
        assert any("768 pixels in a row of frame 10 at 32x24, base64" in each for each in found)
