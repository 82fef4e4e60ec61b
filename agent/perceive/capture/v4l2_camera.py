"""USB and other V4L2 cameras: the mode that suits best, luma, monotonic timestamps."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent.base.errors import CaptureError, reason
from agent.base.types import Frame
from agent.perceive.capture import v4l2_abi as abi
from agent.perceive.capture.camera import Camera
from agent.perceive.capture.orientation import Upright
from agent.perceive.capture.pixel_formats import (
    MAX_SIDE,
    Bytes,
    Converter,
    DamagedError,
    Geometry,
    Picture,
)
from agent.perceive.capture.v4l2_device import Buffer, Device
from agent.perceive.capture.v4l2_modes import COMPRESSED, KNOWN, Mode, gives_pictures, suited

if TYPE_CHECKING:  # the capture process does without pydantic
    from agent.base.config import SourceConfig

_MAX_CLOCK_DIFFERENCE = 2.0
"""Seconds by which a driver's timestamp may differ from the monotonic clock and still be used."""
_NODES = 64
"""Numbers of /dev/videoN that are tried: opened, not listed, since the sandbox may forbid that."""
_Convert = Callable[[Sequence[Bytes]], Picture | None]


class V4l2Camera(Camera):
    """A V4L2 device.

    Frame times are the driver's where it stamps buffers on the monotonic clock, else the moment of
    reading. Damaged frames are left out and counted; a camera that gives no others for `stall`
    seconds has failed.
    """

    def __init__(self, config: SourceConfig) -> None:
        """Open it. Raises `CaptureError`."""
        self._device = _find(config.device)
        super().__init__(self._device.path)
        try:
            name, geometry = _start(self._device, config)
            self._convert = _converter(name, geometry)
        except CaptureError:
            self._device.close()
            raise
        self.mode = f"{name.strip()} {geometry.width}x{geometry.height}"
        self._upright = Upright(config.rotate, config.mirror)
        self._stall = config.stall
        self._driver_time: bool | None = None

    def _grab(self) -> Frame:
        end = time.monotonic() + self._stall
        damage = ""
        while time.monotonic() < end:
            buffer = self._read(end)
            now = time.monotonic()
            if buffer is None:
                continue
            try:
                if buffer.damaged:
                    raise DamagedError("marked as damaged by its driver")
                picture = self._convert(buffer.planes)
            except DamagedError as error:
                self.damaged += 1
                damage = str(error)
                continue
            if picture is None:
                continue
            self.green = picture.green
            return Frame(self._time(buffer.stamp, now), self._upright(picture.luma))
        if damage:
            raise CaptureError(
                f"{self.name} gave only damaged frames for {self._stall:g} s, the last: {damage}. "
                "Check its cable, plug it into another port without a hub, or lower source.width, "
                "height or fps; the agent opens it again by itself."
            )
        raise CaptureError(
            f"{self.name} gave no frame for {self._stall:g} s. Check its cable and power; the "
            "agent opens it again by itself. If it happens often, lower source.fps or the size."
        )

    def _read(self, end: float) -> Buffer | None:
        try:
            return self._device.read(max(0.0, end - time.monotonic()))
        except OSError as error:
            if error.errno == errno.EIO:  # "temporary problems like signal loss"
                self.damaged += 1
                time.sleep(0.02)
                return None
            raise CaptureError(
                f"{self.name} stopped giving frames ({reason(error)}). Check its cable and power; "
                "the agent opens it again by itself."
            ) from None

    def _time(self, stamp: float | None, now: float) -> float:
        if self._driver_time is None:
            self._driver_time = stamp is not None and abs(now - stamp) < _MAX_CLOCK_DIFFERENCE
        return stamp if self._driver_time and stamp is not None else now

    def _release(self) -> None:
        self._device.close()


def _converter(name: str, geometry: Geometry) -> _Convert:
    if name not in COMPRESSED:
        return Converter(name, geometry)
    # imported where it is needed
    from agent.perceive.capture.compressed import JpegDecoder, VideoDecoder

    return JpegDecoder() if name in ("MJPG", "JPEG") else VideoDecoder(name)


def _find(named: Path | None) -> Device:
    """Open the named device, or the first that can deliver pictures."""
    if named is not None:
        try:
            return Device(str(named))
        except OSError as error:
            raise CaptureError(_refusal(str(named), error)) from None
    others, unknown = [], ""
    refused: list[tuple[str, OSError]] = []
    for device in _devices(refused):
        others.append(f"{device.path} ({device.card})")
        if device.captures and not device.needs_set_up:
            with contextlib.suppress(OSError):
                modes = device.modes(640, 480)
                if gives_pictures(modes):
                    return device
                if modes and not unknown:
                    unknown = _no_format(device, modes)
        device.close()
    if unknown or refused:
        raise CaptureError(unknown or _refusal(*refused[0]))
    found = f" ({', '.join(others)}: none gives pictures by itself)" if others else ""
    raise CaptureError(
        f"No V4L2 camera is there{found}. Plug one in, or check its cable. A camera on a Raspberry "
        'Pi\'s ribbon cable needs source.kind = "picamera2".'
    )


def _devices(refused: list[tuple[str, OSError]] | None = None) -> Iterator[Device]:
    """Each that can be opened; the caller closes it. `refused` takes those that are there and
    cannot be."""
    for number in range(_NODES):
        path = f"/dev/video{number}"
        try:
            yield Device(path)
        except OSError as error:
            if refused is not None and error.errno not in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
                refused.append((path, error))


def _no_format(device: Device, offered: Sequence[Mode]) -> str:
    names = ", ".join(dict.fromkeys(abi.fourcc(mode.code).strip() for mode in offered))
    return (
        f"{device.path} ({device.card}) offers no pixel format that can be used "
        f"({names or 'none at all'}). YUYV, UYVY, NV12, I420, GREY, Y10 to Y16, RGB, MJPG, H264 "
        "and their relatives can; raw Bayer where source.target names its device. Use another "
        'camera, source.kind = "picamera2" on a Raspberry Pi, or "gstreamer" with a pipeline that '
        "converts."
    )


def _refusal(path: str, error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        cameras = []
        for device in _devices():
            if device.captures:
                cameras.append(f"{device.path} ({device.card})")
            device.close()
        there = f"There are: {', '.join(cameras)}" if cameras else "No other camera is there"
        return (
            f"{path} does not exist. {there}. Set source.target, or leave it empty for the first."
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"{path} may not be opened by this user. Add it to the group 'video': `sudo usermod "
            "-aG video $USER`, then log in again. The agent opens no camera that was plugged in "
            "after it started: restart it."
        )
    if error.errno == errno.EBUSY:
        return f"{path} is used by another program. Close that; `fuser {path}` names it."
    return (
        f"{path} cannot be opened as a camera ({reason(error)}). List cameras with `v4l2-ctl "
        "--list-devices`."
    )


def _start(device: Device, config: SourceConfig) -> tuple[str, Geometry]:
    """Start streaming in the first mode that the driver takes: its name and geometry."""
    try:
        if not device.captures:
            raise CaptureError(
                f"{device.path} ({device.card}, driver {device.driver}) is no camera that gives "
                "pictures by itself. List cameras with `v4l2-ctl --list-devices`; leave "
                'source.target empty for the first, or set source.kind = "picamera2" for one '
                "on a Raspberry Pi's ribbon cable."
            )
        offered = device.modes(config.width, config.height)
        modes = suited(offered, config)
    except OSError as error:
        raise CaptureError(_refusal(device.path, error)) from None
    if not modes:
        raise CaptureError(_no_format(device, offered))
    refusal: OSError | None = None
    for mode in modes:
        try:
            code, geometry = device.configure(mode.code, mode.width, mode.height, config.fps)
            name = abi.fourcc(code)
            if name not in KNOWN:
                continue
            sides = (geometry.width, geometry.height)
            if not 0 < min(sides) <= max(sides) <= MAX_SIDE:
                raise CaptureError(
                    f"{device.path} gives pictures of {geometry.width}x{geometry.height}, not "
                    f"within {MAX_SIDE} pixels. Choose another mode with `v4l2-ctl "
                    "--set-fmt-video`."
                )
            device.start()
        except OSError as error:
            refusal = error
            if error.errno not in (errno.EINVAL, errno.ENOSPC, errno.EPIPE, errno.ENOMEM):
                break
            continue
        return name, geometry
    if refusal is not None and refusal.errno == errno.ENOSPC:
        raise CaptureError(
            f"{device.path} does not start: the USB bus has no bandwidth left for it. Plug it into "
            "another port, away from other cameras, or lower source.width, height or fps."
        )
    if refusal is not None and refusal.errno == errno.EBUSY:
        raise CaptureError(_refusal(device.path, refusal))
    raise CaptureError(
        f"{device.path} refuses {config.width}x{config.height} in every pixel format it lists"
        f"{f' ({reason(refusal)})' if refusal is not None else ''}. `v4l2-ctl --list-formats-ext` "
        "lists what it can do; set source.width and height accordingly."
    )
