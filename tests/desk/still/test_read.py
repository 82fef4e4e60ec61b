"""Pictures as people have them: each is read as a viewer shows it, or refused by name."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from agent.base.errors import CaptureError
from agent.base.types import Grey
from agent.desk.still import damage, read
from agent.desk.still.read import Still, read_still

HEIGHT, WIDTH = 48, 64


def scene() -> Grey:
    """No two of its eight orientations are alike."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    picture = 40 + 2 * x + y
    picture[4:16, 6:26] = 230
    picture[30:44, 40:46] = 10
    return picture.astype(np.uint8)


SCENE = scene()
TURNED: dict[int, Grey] = {
    1: SCENE,
    2: SCENE[:, ::-1],
    3: SCENE[::-1, ::-1],
    4: SCENE[::-1],
    5: SCENE.T,
    6: np.rot90(SCENE, 1),
    7: np.rot90(SCENE.T, 2),
    8: np.rot90(SCENE, -1),
}
"""As a camera stores the scene that says this orientation (EXIF 3.0, figure 17)."""


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    def write(data: bytes, name: str = "picture.bin") -> Path:
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


Put = Callable[..., Path]


def coded(picture: Any, form: str, **how: Any) -> bytes:
    """`picture`: Pillow's, or an array for it."""
    target = io.BytesIO()
    shown = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    shown.save(target, form, **how)
    return target.getvalue()


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def assert_scene(still: Still, most: float = 6.0) -> None:
    """The scene, upright, within what its coding loses."""
    assert still.luma.shape == SCENE.shape
    assert still.luma.dtype == np.uint8
    assert still.luma.flags.c_contiguous
    assert np.abs(still.luma.astype(int) - SCENE).mean() < most


def colour(grey: Grey) -> Grey:
    return np.dstack([grey, grey, grey])


def heic(picture: Any, **how: Any) -> bytes:
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    heif.register_heif_opener()
    return coded(picture, "HEIF", quality=95, **how)


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_picture_on_its_side_is_turned_upright(put: Put, form: str, orientation: int) -> None:
    how: dict[str, Any] = {"quality": 95} if form in ("JPEG", "WEBP", "AVIF") else {}
    how |= {"tiffinfo": {274: orientation}} if form == "TIFF" else {"exif": exif(orientation)}
    stored = np.ascontiguousarray(colour(TURNED[orientation]))
    assert_scene(read_still(put(coded(stored, form, **how))))


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("kind", ["grey", "colour", "real"])
def test_deep_pictures_are_turned_once(put: Put, kind: str, orientation: int) -> None:
    """OpenCV turns TIFF by itself and PNG not."""
    stored = np.ascontiguousarray(TURNED[orientation])
    deep: Any = stored.astype(np.uint16) * 257
    if kind == "real":
        data = coded(stored.astype(np.float32) / 255, "TIFF", tiffinfo={274: orientation})
        assert_scene(read_still(put(data)), 1.0)
        return
    made = colour(deep) if kind == "colour" else deep
    png = cv2.imencode(".png", made)[1].tobytes()
    chunk = b"eXIf" + exif(orientation).tobytes().removeprefix(b"Exif\0\0")
    whole = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    assert_scene(read_still(put(png[:33] + whole + png[33:])), 1.0)
    tiff = cv2.imencode(".tiff", made)[1].tobytes()
    assert_scene(read_still(put(with_orientation(tiff, orientation))), 1.0)


def with_orientation(tiff: bytes, orientation: int) -> bytes:
    """A little-endian TIFF file with its first directory, one entry longer, at the end."""
    (at,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, at)
    entries = [tiff[at + 2 + 12 * i : at + 14 + 12 * i] for i in range(count)]
    entries = [each for each in entries if each[:2] != struct.pack("<H", 274)]
    entries.append(struct.pack("<HHIHH", 274, 3, 1, orientation, 0))
    entries.sort(key=lambda each: struct.unpack_from("<H", each)[0])
    tiff += b"\0" * (len(tiff) % 2)
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return tiff[:4] + struct.pack("<I", len(tiff)) + tiff[8:] + directory


@pytest.mark.parametrize("orientation", TURNED)
def test_heic_is_turned_once(put: Put, orientation: int) -> None:
    stored = np.ascontiguousarray(colour(TURNED[orientation]))
    assert_scene(read_still(put(heic(stored, exif=exif(orientation).tobytes()))))


def test_heic_of_ten_bits_and_its_main_picture(put: Put) -> None:
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    deep = np.ascontiguousarray(colour(SCENE).astype(np.uint16) * 257)
    file = heif.from_bytes("RGB;16", (WIDTH, HEIGHT), deep.tobytes())
    target = io.BytesIO()
    file.save(target, quality=95)
    assert_scene(read_still(put(target.getvalue())))
    both = heif.from_pillow(Image.fromarray(colour(255 - SCENE)))
    both.add_from_pillow(Image.fromarray(colour(SCENE)))
    target = io.BytesIO()
    both.save(target, quality=95, primary_index=1)
    still = read_still(put(target.getvalue()))
    assert_scene(still)
    assert still.notes == ("the main one of 2 pictures",)


def test_without_its_library_heic_is_refused_by_name(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(200), "a.heic")
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(CaptureError, match=r"HEIC picture, and pillow-heif.*pip install"):
        read_still(path)


@pytest.mark.parametrize(
    ("mode", "form", "how"),
    [
        ("L", "JPEG", {}),
        ("RGB", "JPEG", {}),
        ("RGB", "JPEG", {"progressive": True}),
        ("RGB", "JPEG", {"subsampling": 0, "keep_rgb": True}),
        ("CMYK", "JPEG", {}),
        ("CMYK", "TIFF", {}),
        ("YCbCr", "TIFF", {}),
        ("P", "PNG", {}),
        ("P", "GIF", {}),
        ("P", "BMP", {}),
        ("L", "BMP", {}),
        ("RGB", "BMP", {}),
        ("RGB", "DIB", {}),
        ("L", "PPM", {}),
        ("RGB", "PPM", {}),
        ("L", "JPEG2000", {}),
        ("RGB", "JPEG2000", {}),
        ("RGB", "WEBP", {"quality": 95}),
        ("RGB", "WEBP", {"lossless": True}),
        ("RGB", "AVIF", {"quality": 95}),
        ("L", "TIFF", {"compression": "tiff_lzw"}),
        ("RGB", "TIFF", {"compression": "tiff_adobe_deflate"}),
        ("RGB", "TIFF", {"compression": "jpeg"}),
        ("L", "TIFF", {"tiffinfo": {262: 0}}),
        ("P", "TIFF", {}),
    ],
)
def test_colour_models(put: Put, mode: str, form: str, how: dict[str, Any]) -> None:
    picture = Image.fromarray(colour(SCENE))
    picture = picture.quantize(256) if mode == "P" else picture.convert(mode)
    assert_scene(read_still(put(coded(picture, form, **how))))


def test_ycck_and_the_inverted_cmyk_of_adobe(put: Put) -> None:
    """Pillow writes an Adobe marker with transform 0 and inverted values; 2 means YCCK."""
    c, k = 255 - SCENE, np.zeros_like(SCENE)
    data = coded(Image.merge("CMYK", [Image.fromarray(each) for each in (c, c, c, k)]), "JPEG",
                 quality=95, subsampling=0)  # fmt: skip
    assert b"Adobe" in data
    assert_scene(read_still(put(data)))
    # without the marker too, as browsers, FFmpeg, OpenCV and Pillow show it
    at = data.index(b"Adobe") - 4
    assert_scene(read_still(put(data[:at] + data[at + 16 :])))
    # Pillow inverts what it writes and reads: Y is the luma of the inverted colours, Cb and Cr grey
    y = Image.fromarray(SCENE)
    neutral = Image.new("L", y.size, 127)
    planes = Image.merge("CMYK", [y, neutral, neutral, Image.new("L", y.size, 0)])
    data = coded(planes, "JPEG", quality=95, subsampling=0)
    at = data.index(b"Adobe") + 11
    assert data[at] == 0
    assert_scene(read_still(put(data[:at] + b"\x02" + data[at + 1 :])))


ARITHMETIC = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsL"
    "EBYQERMUFRUVDA8XGBYUGBIUFRT/yQALCAAYACABAREA/8wABgAQEAX/2gAIAQEAAD8A/wDsog4zhXD4QgTdzOs2PieG"
    "rN7AWLJ4XSjnESPFB9tqcyq9hnrgQiznbdT362Ja9TbThv/Z"
)
"""`cjpeg -arithmetic -quality 90` of 4 y + 3 x, 32x24."""


def test_arithmetic_coding_is_read_and_not_called_damaged(put: Put) -> None:
    still = read_still(put(base64.b64decode(ARITHMETIC), "a.jpg"))
    y, x = np.mgrid[0:24, 0:32]
    assert np.abs(still.luma.astype(int) - (4 * y + 3 * x)).max() < 4
    assert still.notes == ()


def test_one_bit(put: Put) -> None:
    for form in ("PNG", "TIFF", "PPM", "BMP", "GIF"):
        still = read_still(put(coded(Image.fromarray(SCENE > 128), form)))
        assert np.array_equal(still.luma, np.where(SCENE > 128, 255, 0)), form


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "GIF", "AVIF"])
def test_transparent_parts_are_shown_on_white(put: Put, form: str) -> None:
    alpha = np.full_like(SCENE, 255)
    alpha[:, WIDTH // 2 :] = 0
    picture = Image.fromarray(np.dstack([colour(SCENE), alpha]))
    how = {"quality": 95} if form in ("WEBP", "AVIF") else {}
    still = read_still(put(coded(picture, form, **how)))
    assert still.luma[:, -8:].min() > 250
    assert np.abs(still.luma[:, :24].astype(int) - SCENE[:, :24]).mean() < 6
    assert still.notes == ("transparent parts are shown on white",)


def test_grey_with_alpha_palettes_with_alpha_and_opaque_alpha(put: Put) -> None:
    grey_alpha = Image.merge("LA", [Image.fromarray(SCENE), Image.new("L", (WIDTH, HEIGHT), 0)])
    assert read_still(put(coded(grey_alpha, "PNG"))).luma.min() == 255
    palette = Image.fromarray(SCENE).convert("P")
    hidden = read_still(put(coded(palette, "PNG", transparency=int(SCENE[0, 0]))))
    assert hidden.luma[0, 0] == 255
    opaque = read_still(put(coded(np.dstack([colour(SCENE), np.full_like(SCENE, 255)]), "PNG")))
    assert_scene(opaque, 1.0)
    assert opaque.notes == ()


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("ending", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_bits_in_sixteen(put: Put, bits: int, ending: str, channels: int) -> None:
    most = 2**bits - 1
    deep = np.rint(SCENE.astype(float) / SCENE.max() * most).astype(np.uint16)
    made: Any = deep if channels == 1 else np.dstack([deep] * 3)
    if channels == 4:
        made = np.dstack([made, np.full_like(deep, 65535)])
    still = read_still(put(cv2.imencode(ending, made)[1].tobytes()))
    assert_scene(Still((still.luma.astype(float) * SCENE.max() / 255).astype(np.uint8)), 1.5)
    said = () if bits == 16 else (f"its values go to {most:,}, which is shown as white",)
    assert still.notes == said


@pytest.mark.parametrize("scale", [1.0, 255.0, 65535.0])
def test_real_numbers(put: Put, scale: float) -> None:
    bright = SCENE.astype(np.float32) / 255 * np.float32(scale)
    assert_scene(read_still(put(coded(bright, "TIFF"))), 1.5)
    rgb = np.dstack([bright] * 3)
    assert_scene(read_still(put(cv2.imencode(".tiff", rgb)[1].tobytes())), 1.5)


def test_highlights_holes_and_nothing_at_all(put: Put) -> None:
    bright = SCENE.astype(np.float32) / 255
    bright[:2] = 3.5
    bright[2] = np.nan
    bright[3] = np.inf
    bright[4] = -1
    still = read_still(put(coded(bright, "TIFF")))
    assert np.abs(still.luma[5:].astype(int) - SCENE[5:]).max() <= 1
    assert still.luma[:2].min() == 255
    assert still.luma[2:5].max() == 0
    with pytest.raises(CaptureError, match="holds no finite number"):
        read_still(put(coded(np.full((4, 4), np.nan, np.float32), "TIFF")))


def test_portable_maps_and_white_as_zero(put: Put) -> None:
    deep = SCENE.astype(np.uint16) * 16
    for head, data in (
        (b"P5\n64 48\n4095\n", deep.astype(">u2").tobytes()),
        (b"P5\n64 48\n65535\n", (SCENE.astype(">u2") * 257).tobytes()),
        (b"P5 # scanner\n64 48\n255\n", SCENE.tobytes()),
        (b"P2\n64 48\n255\n", b" ".join(b"%d" % v for v in SCENE.ravel())),
        (b"Pf\n64 48\n-1.0\n", (SCENE[::-1].astype("<f4") / 255).tobytes()),
    ):
        assert_scene(read_still(put(head + data)), 2.0)
    # dark enough for its bytes to be letters
    dark = np.full((48, 64), 97, np.uint8)
    assert (read_still(put(b"P5 64 48 255\n" + dark.tobytes())).luma == 97).all()
    assert (read_still(put(b"P6\n64 48\n255\n" + dark.tobytes() * 3)).luma == 97).all()
    negative = (65535 - SCENE.astype(np.uint16) * 257).astype(np.uint16)
    assert_scene(read_still(put(coded(negative, "TIFF", tiffinfo={262: 0}))), 1.0)


def test_a_profile_counts_where_it_changes_lightness(put: Put) -> None:
    lab = ImageCms.createProfile("LAB")
    srgb = ImageCms.createProfile("sRGB")
    picture = ImageCms.profileToProfile(Image.fromarray(colour(SCENE)), srgb, lab, outputMode="LAB")
    assert_scene(read_still(put(coded(picture, "TIFF"))), 2.0)
    same = ImageCms.ImageCmsProfile(srgb).tobytes()
    assert_scene(read_still(put(coded(colour(SCENE), "PNG", icc_profile=same))), 1.0)
    assert_scene(read_still(put(coded(colour(SCENE), "PNG", icc_profile=b"no profile"))), 1.0)
    linear = linear_profile(same)
    light = np.where(
        SCENE / 255 <= 0.04045, SCENE / 255 / 12.92, ((SCENE / 255 + 0.055) / 1.055) ** 2.4
    )
    stored = colour(np.rint(light * 255).astype(np.uint8))
    for form in ("PNG", "JPEG"):
        data = coded(
            stored, form, icc_profile=linear, **({"quality": 98} if form == "JPEG" else {})
        )
        assert_scene(read_still(put(data)), 3.0)


def linear_profile(srgb: bytes) -> bytes:
    """The profile with the curves' one parametric description replaced by a gamma of 1."""
    at = srgb.index(b"para")
    curve = b"curv" + bytes(8)
    named = srgb.replace(b"sRGB", b"line").replace(
        "sRGB".encode("utf-16-be"), "line".encode("utf-16-be")
    )
    return named[:at] + curve + named[at + len(curve) :]


def frames(count: int = 3) -> list[Image.Image]:
    return [
        Image.fromarray(colour(SCENE if i == 0 else 250 - 50 * i - SCENE // 2))
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("form", "unit"),
    [
        ("GIF", "frames"),
        ("WEBP", "frames"),
        ("PNG", "frames"),
        ("AVIF", "frames"),
        ("TIFF", "pages"),
    ],
)
def test_of_several_the_first_is_shown_and_said(put: Put, form: str, unit: str) -> None:
    first, *others = frames()
    how = {"quality": 95} if form in ("WEBP", "AVIF") else {}
    data = coded(first, form, save_all=True, append_images=others, **how)
    still = read_still(put(data))
    assert_scene(still)
    assert still.notes == (f"the first of 3 {unit}",)


def test_an_animated_png_shows_its_first_frame_not_its_substitute(put: Put) -> None:
    others = frames()
    substitute = Image.fromarray(colour(255 - SCENE))
    data = coded(substitute, "PNG", save_all=True, append_images=others, default_image=True)
    assert_scene(read_still(put(data)))


def test_a_phones_file_of_several_jpegs_is_its_first(put: Put) -> None:
    first, *others = frames()
    still = read_still(put(coded(first, "MPO", save_all=True, append_images=others, quality=95)))
    assert_scene(still)
    assert still.notes == ()


@pytest.mark.parametrize(
    "name",
    ["a.jfif", "a.jpe", "a.jif", "A.JPG", "a", "a.txt", "a.png", "a.jpg.part", "-a.jpg", "a b.jpg",
     "caf\udce9.jpg", "10:20.jpg", "100%.jpg", "a\nb.jpg", "'\".jpg", "[red]a.jpg",
     "n" * 251 + ".jpg"],
)  # fmt: skip
def test_the_name_does_not_matter(put: Put, name: str) -> None:
    assert_scene(read_still(put(coded(SCENE, "JPEG", quality=95), name)))


SQUARES: list[tuple[str, dict[str, Any]]] = [
    ("JPEG", {"quality": 95}), ("JPEG", {"progressive": True}), ("PNG", {}), ("GIF", {}),
    ("BMP", {}), ("PPM", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}),
    ("WEBP", {"quality": 95}), ("JPEG2000", {}), ("AVIF", {"quality": 95}),
]  # fmt: skip


def noise() -> Grey:
    return np.random.default_rng(3).integers(0, 255, (120, 160, 3), np.uint8)


@pytest.mark.parametrize(("form", "how"), SQUARES)
@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_what_is_cut_short_is_refused(
    put: Put, form: str, how: dict[str, Any], part: float
) -> None:
    data = coded(noise(), form, **how)
    with pytest.raises(CaptureError, match="damaged") as caught:
        read_still(put(data[: int(part * len(data))], "cut"))
    assert "\n" not in str(caught.value)


def test_heic_and_avif_that_are_cut_short_are_refused(put: Put) -> None:
    for data in (heic(noise()), coded(noise(), "AVIF")):
        for part in (0.05, 0.5, 0.9):
            with pytest.raises(CaptureError, match=r"is damaged or cut short"):
                read_still(put(data[: int(part * len(data))], "a.heic"))


@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"restart_marker_blocks": 4}])
def test_a_jpeg_that_is_half_grey_says_so(put: Put, how: dict[str, Any]) -> None:
    """Decoders fill up what is missing where the end mark is there."""
    data = coded(noise(), "JPEG", **how)
    half = len(data) // 2
    for broken in (data[:half] + data[-2:], data[:half] + bytes(200) + data[half + 200 :]):
        assert read_still(put(broken, "a.jpg")).notes == (
            "it is damaged: part of the picture is missing or wrong",
        )
    assert read_still(put(data + b"trailing", "a.jpg")).notes == ()
    assert read_still(put(data[:-2], "a.jpg")).notes == (damage.NO_END,)


def test_a_png_whose_checksum_is_wrong_is_refused(put: Put) -> None:
    data = bytearray(coded(noise(), "PNG"))
    data[len(data) // 2] ^= 0x10
    with pytest.raises(CaptureError, match="damaged or cut short"):
        read_still(put(bytes(data), "a.png"))


def png_of(width: int, height: int) -> bytes:
    """A header that promises that many pixels, and no more."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(64)))


@pytest.mark.parametrize("size", [(20_000, 20_000), (100_000, 100_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_by_its_header(put: Put, size: tuple[int, int]) -> None:
    for data in (png_of(*size), b"P6 %d %d 255\n" % size + bytes(64)):
        with pytest.raises(CaptureError, match="more than 220 million pixels"):
            read_still(put(data))


def test_a_deep_picture_has_a_lower_bound(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MAX_DEEP_PIXELS", 100)
    with pytest.raises(CaptureError, match="more than 0 million pixels"):
        read_still(put(cv2.imencode(".png", SCENE.astype(np.uint16))[1].tobytes()))


def tiff_with(tags: dict[int, Any]) -> bytes:
    return coded(SCENE, "TIFF", tiffinfo=tags)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.dng", tiff_with({50706: b"\1\4\0\0"}), "a camera's raw file, which is not read. D"),
        ("a.nef", tiff_with({254: 1}), "raw file"),
        ("a.arw", tiff_with({}), "raw file"),
        ("a.cr2", b"II*\0\x10\0\0\0CR\2\0" + bytes(400), "raw file"),
        ("a.cr3", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(400), "raw file"),
        ("a.raf", b"FUJIFILMCCD-RAW 0201" + bytes(400), "raw file"),
        ("a.jxl", b"\xff\x0a" + bytes(range(200)), "a JPEG XL picture, which is not read. Save it"),
        ("a.svg", b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG drawing"),
        ("a.psd", b"8BPS\0\1" + bytes(200), "Photoshop"),
        ("a.exr", b"\x76\x2f\x31\x01" + bytes(200), "OpenEXR"),
        ("a.jpg", b"Dear Sir or Madam,\nthe picture follows.\n", "text, whatever its ending says"),
        ("a.jpg", b"%PDF-1.7\n%\xe2\xe3\n", "a document, whatever its ending says"),
        ("a.jpg", b"PK\3\4" + bytes(90), "an archive, whatever"),
        ("a.png", b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(99), "a video, whatever.*replay"),
        ("a.jpg", b"\x01\x80" * 2500, "not read here, or damaged at its start"),
        ("a.jpg", b"\xff\xd8\xff\xe0", "damaged"),
        ("a.jpg", b"", "is empty"),
        ("a.jpg", bytes(5000), "holds nothing but zeros"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_refused_with_the_remedy(
    put: Put, name: str, data: bytes, says: str
) -> None:
    with pytest.raises(CaptureError, match=says) as caught:
        read_still(put(data, name))
    assert str(caught.value).endswith(".")
    assert ". " in str(caught.value), "no remedy"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("notes.txt", b"boxes: 3\n"), ("a.csv", "Größe;Name\n".encode()),
        ("a.mkv", b"\x1a\x45\xdf\xa3" + bytes(99)), ("a.avi", b"RIFF\0\0\0\0AVI LIST" + bytes(99)),
        ("a.ts", (b"\x47" + bytes(187)) * 3), ("a.wav", b"RIFF\0\0\0\0WAVEfmt "),
        ("a.zip", b"PK\3\4" + bytes(90)), ("._a", b"\0\5\x16\7\0\2\0\0Mac OS X"),
        ("a.npy", b"\x93NUMPY\1\0" + bytes(90)),
    ],
)  # fmt: skip
def test_other_files_are_no_pictures(put: Put, name: str, data: bytes) -> None:
    with pytest.raises(CaptureError, match=r"not a picture|not read here"):
        read_still(put(data, name))


def test_a_jpeg_of_twelve_bits_is_refused(put: Put) -> None:
    data = bytearray(coded(SCENE, "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(CaptureError, match="more than eight bits"):
        read_still(put(bytes(data)))


def test_pipes_devices_sockets_folders_and_links(tmp_path: Path, put: Put) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "nowhere.jpg").symlink_to(tmp_path / "gone")
    (tmp_path / "link").symlink_to(put(coded(SCENE, "PNG")))
    for path, says in (
        (tmp_path / "pipe.jpg", "is a pipe"),
        (Path("/dev/null"), "is a device"),
        (Path("/dev/zero"), "is a device"),
        (tmp_path, "is a folder"),
        (tmp_path / "loop.jpg", r"symbolic links\. Check where it leads"),
        (tmp_path / "nowhere.jpg", "is a link to nothing"),
        (tmp_path / "none.jpg", "does not exist"),
        (tmp_path / ("n" * 256), "File name too long"),
    ):
        with pytest.raises(CaptureError, match=says):
            read_still(path)
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(tmp_path)
        listener.bind("s")
        with pytest.raises(CaptureError, match="is a socket"):
            read_still(Path("s"))
    assert_scene(read_still(tmp_path / "link"), 1.0)


def test_a_file_that_must_not_be_read_says_so(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    path = put(coded(SCENE, "PNG"))
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(CaptureError, match=r"Permission denied\. Check its permissions"):
        read_still(path)


def test_a_damaged_file_never_raises_anything_else(put: Put) -> None:
    """Bytes changed and parts left out at random, in every format."""
    rng = np.random.default_rng(5)
    for form, how in SQUARES:
        data = np.frombuffer(coded(np.ascontiguousarray(noise()[:40, :40]), form, **how), np.uint8)
        for _ in range(12):
            broken = data.copy()
            where = rng.integers(0, len(broken) if rng.random() < 0.5 else 64, 6)
            broken[where] = rng.integers(0, 256, 6)
            cut = int(rng.integers(1, len(broken)))
            kept = broken if rng.random() < 0.6 else np.delete(broken, slice(cut, cut + 9))
            with contextlib.suppress(CaptureError):
                read_still(put(kept.tobytes(), "broken"))
