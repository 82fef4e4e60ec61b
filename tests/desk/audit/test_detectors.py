"""Each detector finds what it is for, at any place, and nothing in honest bytes."""

from __future__ import annotations

import base64
import binascii
import contextlib
import gzip
import hashlib
import io
import json
import secrets
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from agent.base.config import StoreConfig
from agent.base.report import to_json
from agent.desk.audit import database, text
from agent.desk.audit.canary import Canary, Picture, telling
from agent.desk.audit.evidence import Item
from agent.desk.audit.magic import signatures
from agent.desk.audit.picture import likeness
from agent.desk.audit.pixels import Index
from agent.desk.audit.views import views
from agent.desk.audit.vocabulary import Vocabulary
from agent.desk.audit.wire import schemas
from agent.vision import kernels
from agent.wall.outbox import Outbox
from tests.desk.audit.clip import SIZE, frames, write
from tests.summaries import summary

FRAMES = frames(14)
SMALL = cv2.resize(FRAMES[10], (32, 24), interpolation=cv2.INTER_AREA)
FLAT = SMALL.reshape(-1)


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> tuple[Canary, list[list[Picture]]]:
    """The video, and all its pictures, which fit into memory here."""
    path = write(tmp_path_factory.mktemp("canary") / "canary.mkv", FRAMES)
    canary = Canary(path)
    return canary, list(canary.pictures())


def look(data: bytes, pictures: list[list[Picture]]) -> list[str]:
    item = Item("test", "other", data)
    index = Index([(item, view) for view in views(data)])
    for each in pictures:
        index.look(each)
    return [each.what for each in index.findings()]


def test_the_canary_is_seen_as_it_is(canary: tuple[Canary, list[list[Picture]]]) -> None:
    found, pictures = canary
    assert found.frames == found.searched == found.textured == len(FRAMES)
    assert not found.weak
    assert np.array_equal(pictures[10][0].pixels, FRAMES[10])


def jsonish(values: npt.NDArray[np.generic]) -> bytes:
    return json.dumps({"a": values.tolist()}).encode()


WAYS: dict[str, Callable[[], bytes]] = {
    "raw": FLAT.tobytes,
    "a row of the full frame": lambda: FRAMES[7][60, 30:90].tobytes(),
    "columns first": lambda: np.ascontiguousarray(FRAMES[7].T)[40, 20:80].tobytes(),
    "every second pixel": lambda: FRAMES[9][::2, ::2].tobytes()[:500],
    "inverted": lambda: (255 - FLAT).tobytes(),
    "as int8": lambda: (FLAT.astype(np.int16) - 128).astype(np.int8).tobytes(),
    "base64": lambda: base64.b64encode(FLAT.tobytes()),
    "base64 in lines": lambda: base64.encodebytes(FLAT.tobytes()),
    "base64 in lines of JSON": lambda: json.dumps(base64.encodebytes(FLAT.tobytes()).decode())
    .encode(),
    "base64url": lambda: base64.urlsafe_b64encode(FLAT.tobytes()).rstrip(b"="),
    "hex": lambda: FLAT.tobytes().hex().encode(),
    "hex with spaces": lambda: FLAT.tobytes().hex(" ").upper().encode(),
    "percent": lambda: b"".join(b"%%%02X" % each for each in FLAT),
    "repr": lambda: repr(FLAT.tobytes()).encode(),
    "zlib": lambda: zlib.compress(FLAT.tobytes()),
    "gzip in base64": lambda: base64.b64encode(gzip.compress(FLAT.tobytes())),
    "RGB": lambda: np.repeat(FLAT, 3).tobytes(),
    "int32": lambda: FLAT.astype("<i4").tobytes(),
    "float32": lambda: (FLAT / 255).astype("<f4").tobytes(),
    "float32, -1 to 1": lambda: (FLAT / 127.5 - 1).astype("<f4").tobytes(),
    "float32, big endian": lambda: (FLAT / 255).astype(">f4").tobytes(),
    "float16": lambda: (FLAT / 255).astype("<f2").tobytes(),
    "float64": lambda: FLAT.astype("<f8").tobytes(),
    "JSON integers": lambda: jsonish(FLAT),
    "JSON rows": lambda: jsonish(SMALL),
    "JSON floats": lambda: jsonish((FLAT / 255).round(4)),
    "CSV": lambda: "\n".join(",".join(map(str, row)) for row in SMALL).encode(),
    "NumPy's words": lambda: np.array2string(FLAT[:200], threshold=999).encode(),
}  # fmt: skip


@pytest.mark.parametrize("shift", [0, 3])
@pytest.mark.parametrize("way", WAYS)
def test_pixels_are_found_however_they_are_written(
    way: str, shift: int, canary: tuple[Canary, list[list[Picture]]]
) -> None:
    data = b"{};: "[:shift] + WAYS[way]() + b" \0tail"
    found = look(data, canary[1])
    assert any("pixels in a row of frame" in each for each in found), way


def test_the_frame_and_the_size_are_named(canary: tuple[Canary, list[list[Picture]]]) -> None:
    assert look(b"...." + FLAT.tobytes(), canary[1])[0].startswith(
        "768 pixels in a row of frame 10 at 32x24"
    )


def test_another_video_is_not_taken_for_the_canary(
    canary: tuple[Canary, list[list[Picture]]],
) -> None:
    other = frames(3, seed=99)
    assert look(b"".join(each.tobytes() for each in other), canary[1]) == []


def honest(seed: int) -> bytes:
    """Some bytes as an honest run has it: summaries, hashes, database pages, compiled code."""
    rng = np.random.default_rng(seed)
    parts = [to_json(summary(n)) for n in range(200)]
    parts += [hashlib.sha256(each).hexdigest().encode() for each in parts]
    parts.append(rng.integers(0, 256, 100_000, np.uint8).tobytes()[:50_000])
    parts.append(bytes(range(256)) * 20 + bytes(20_000))
    parts += [
        each.read_bytes()[:60_000] for each in Path(np.__file__).parent.rglob("_multiarray*.so")
    ]
    compiled = sorted((Path(kernels.__file__).parent / "__pycache__").glob("*.nbc"))[:3]
    parts += [each.read_bytes()[:40_000] for each in compiled]
    code = Path(cv2.__file__).parent.glob("*.so")
    parts += [each.read_bytes()[5_000_000:5_100_000] for each in code]
    return b"".join(parts)


@pytest.fixture(scope="module")
def haystack() -> Index:
    """Honest bytes, and the regular patterns that any file may hold."""
    regular = bytes(5000) + bytes(range(256)) * 4 + b"\0\0\0\0\xff\xff\xff\xff" * 400
    item = Item("honest", "other", regular + honest(2))
    return Index([(item, view) for view in views(item.data)])


def test_honest_bytes_hold_no_canary(
    canary: tuple[Canary, list[list[Picture]]], haystack: Index
) -> None:
    assert haystack.size > 100_000
    for pictures in canary[1][::4]:
        haystack.look(pictures)
    assert haystack.findings() == []


def test_a_flat_and_a_striped_video_cause_no_alarm(tmp_path: Path, haystack: Index) -> None:
    ramp = np.tile(np.arange(SIZE[0], dtype=np.uint8), (SIZE[1], 1))
    stripes = np.where(np.indices((SIZE[1], SIZE[0]))[1] // 4 % 2, 255, 0).astype(np.uint8)
    for name, picture in (
        ("black", np.zeros((SIZE[1], SIZE[0]), np.uint8)), ("ramp", ramp), ("stripes", stripes),
    ):  # fmt: skip
        canary = Canary(write(tmp_path / f"{name}.mkv", [picture] * 5))
        pictures = list(canary.pictures())
        assert canary.weak == (name != "stripes")
        for each in pictures:
            haystack.look(each)
        assert haystack.findings() == [], name


def test_what_says_something_has_contrast_and_steps_of_several_kinds() -> None:
    for gram in ([9] * 9, list(range(9)), list(range(0, 90, 10)), [0, 255] * 4 + [0]):
        assert not telling(np.array(gram, np.uint8))[0]
    clouds = np.array([20, 31, 25, 60, 58, 40, 44, 90, 81], np.uint8)
    assert telling(clouds).tolist() == [True]
    assert telling(np.concatenate([clouds, clouds])).shape == (10,)
    assert telling(clouds[:8]).shape == (0,)


@pytest.mark.parametrize("size", [(12, 9), (16, 12), (32, 24), (20, 20), (64, 48)])
@pytest.mark.parametrize("levels", [256, 16])
def test_a_rough_thumbnail_is_recognised(
    size: tuple[int, int], levels: int, canary: tuple[Canary, list[list[Picture]]]
) -> None:
    """Resized in another way, with noise and few levels; the bytes before it are a header."""
    rng = np.random.default_rng(3)
    small = cv2.resize(FRAMES[10], size, interpolation=cv2.INTER_LANCZOS4).astype(np.float64)
    step = 256 // levels
    rough = np.clip(small + rng.normal(0, 5, small.shape), 0, 255).astype(np.uint8) // step * step
    pixels = np.concatenate([np.array([size[0], size[1]], np.uint8), rough.reshape(-1)])
    found = likeness(pixels, canary[0].keys)
    assert found is not None
    assert (found.width, found.height) == size
    assert abs(found.frame - 10) <= 3


def test_a_part_of_a_frame_is_recognised(canary: tuple[Canary, list[list[Picture]]]) -> None:
    number, key = canary[0].keys[0]
    part = cv2.resize(key[20:100, 30:110], (40, 40), interpolation=cv2.INTER_AREA)
    found = likeness(part.reshape(-1), canary[0].keys)
    assert found is not None
    assert found.part
    assert found.frame == number


def test_noise_and_ramps_are_no_pictures(canary: tuple[Canary, list[list[Picture]]]) -> None:
    rng = np.random.default_rng(5)
    for size in (64, 100, 108, 768, 3072):
        for _ in range(3):
            assert likeness(rng.integers(0, 256, size).astype(np.uint8), canary[0].keys) is None
        ramp = np.linspace(0, 255, size).astype(np.uint8)
        assert likeness(ramp, canary[0].keys) is None


def encoded(kind: str) -> bytes:
    good, data = cv2.imencode(kind, FRAMES[0])
    assert good
    return bytes(data.tobytes())


def numpy_file() -> bytes:
    file = io.BytesIO()
    np.save(file, SMALL)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (encoded(".jpg"), "JPEG"),
        (encoded(".png"), "PNG"),
        (encoded(".bmp"), "BMP"),
        (encoded(".tiff"), "TIFF"),
        (encoded(".webp"), "WebP"),
        (encoded(".pgm"), "PNM"),
        (numpy_file(), "NumPy"),
        (gzip.compress(b"pixels" * 20), "gzip"),
        (b"PK\x03\x04\x14\x00\x00\x00\x08\x00" + bytes(20), "ZIP"),
    ],
)
def test_files_are_known_by_their_first_bytes(data: bytes, name: str) -> None:
    shifted = b"xyz" + data
    assert any(name in found and at == 3 for at, found in signatures(shifted))
    coded = base64.b64encode(b"a" + data)
    inner = [view.pixels.tobytes() for view in views(coded) if view.coded]
    assert any(name in found for each in inner for _, found in signatures(each))


def test_honest_bytes_hold_no_files() -> None:
    code = honest(3)
    # libraries may well carry signatures as constants; everything before them may not
    assert list(signatures(code[:160_000])) == []


@pytest.mark.parametrize(
    ("line", "detector"),
    [
        (b"points [" + b", ".join(b"%d.5" % n for n in range(30)) + b"]", "numbers"),
        (b"(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14)", "numbers"),
        (base64.b64encode(bytes(range(90))), "entropy"),
        (secrets.token_hex(40).encode(), "entropy"),
        (b"\\x12\\x34\\x56\\x78\\x9a\\xbc\\xde\\xf0", "entropy"),
        (b"%12%34%56%78%9A%BC%DE%F0", "entropy"),
        (bytes(range(1, 9)) + bytes(range(14, 26)), "entropy"),
        (b"\n".join(b"point %d: %d" % (n, 7 * n) for n in range(68)), "numbers"),
    ],
)
def test_a_log_that_says_too_much_is_named(line: bytes, detector: str) -> None:
    assert detector in {found for found, _, _ in text.judge(b"uplink: hello\n" + line + b"\n")}


def test_an_ordinary_log_says_nothing() -> None:
    log = b"\n".join(
        [
            b"perceive: Network closed, writing confined (seccomp, landlock).",
            b"uplink: Connected to 127.0.0.1:41859",
            b"uplink: The broker at 127.0.0.1:1883 went away: cut. Next try in 0.5 s.",
            b"The outbox /tmp/fleeting-audit-a8f_2k1z/run/outbox/outbox.db is damaged (file is not "
            b"a database); it was moved to /tmp/fleeting-audit-a8f_2k1z/run/outbox/outbox.db."
            b"damaged-18ab4c9d2e1f and a new one begun.",
            b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",
            b"2026-11-21 12:13:14.123456: I tensorflow/core/util/port.cc:153] 3.141592653589793",
            b"sha256 " + hashlib.sha256(b"x").hexdigest().encode(),
            "Größe geändert: 640 × 480 Bildpunkte – weiter".encode(),
        ]
    )
    assert list(text.judge(log)) == []


def outbox(folder: Path, count: int = 300) -> tuple[Path, list[bytes]]:
    """A used outbox: some summaries were sent, some wait."""
    path = folder / "outbox.db"
    bodies = [summary(n) for n in range(count)]
    with Outbox(StoreConfig(outbox=path)) as store:
        for each in bodies:
            store.add(each)
        store.acknowledge(*(row.id for row in store.peek(count - 20)))
    return path, [to_json(each) for each in bodies]


def test_an_honest_outbox_is_explained_to_the_last_page(tmp_path: Path) -> None:
    path, bodies = outbox(tmp_path)
    texts, strangers = database.live(path, schemas())
    assert strangers == []
    vocabulary = Vocabulary([*texts, *bodies])
    for each in tmp_path.glob("outbox.db*"):
        data = each.read_bytes()
        if each.name.endswith("-shm"):
            continue
        for start, size in database.pages(data):
            assert list(database.residue(data[start : start + size], vocabulary)) == []


@pytest.mark.parametrize("secure", [False, True])
def test_a_picture_in_free_pages_is_found_unless_it_was_overwritten(
    tmp_path: Path, secure: bool
) -> None:
    path, bodies = outbox(tmp_path, 30)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as store:
        store.execute(f"PRAGMA secure_delete = {'ON' if secure else 'OFF'}")
        store.execute("REPLACE INTO latest VALUES ('x', ?, 0)", (FRAMES[0].tobytes(),))
        store.execute("DELETE FROM latest WHERE kind = 'x'")
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    texts, strangers = database.live(path, schemas())
    assert strangers == []
    vocabulary = Vocabulary([*texts, *bodies])
    data = path.read_bytes()
    found = [
        rest
        for start, size in database.pages(data)
        for _, rest in database.residue(data[start : start + size], vocabulary)
    ]
    assert bool(found) is not secure
    if not secure:
        assert sum(map(len, found)) > FRAMES[0].size * 0.9


def test_strange_rows_and_tables_are_named(tmp_path: Path) -> None:
    path, _ = outbox(tmp_path, 5)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as store:
        store.execute("CREATE TABLE notes (text)")
        store.execute("REPLACE INTO latest VALUES ('x', ?, 0)", (b"\x80" * 50,))
        store.execute("REPLACE INTO counter VALUES (?, 0)", (base64.b64encode(b"pixels" * 9),))
    what = [each.what for each in database.live(path, schemas())[1]]
    assert len(what) == 3
    assert sum("table 'notes'" in each for each in what) == 1


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    path.write_bytes(b"no database " * 100)
    assert "cannot be read" in database.live(path, schemas())[1][0].what


def test_random_bytes_are_no_words() -> None:
    assert not database.ordinary(binascii.hexlify(bytes(range(20))), {})
    assert not database.ordinary(b"two words", {})
    assert database.ordinary(b"store_failed", {})
    assert database.ordinary(to_json(summary(1)), schemas())
