"""A camera: what can be opened, asked for frames, and closed. It runs in a process of its own.

Nothing here starts a thread or waits for anybody but the device: whoever reads a camera in the
capture process may hang in any of these calls, and is killed by the process that waits for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from agent.base.errors import CaptureError, reason
from agent.base.types import Frame


class Camera(ABC):
    """A camera that is open. Subclasses open the device in their constructor, which raises
    `CaptureError`."""

    def __init__(self, name: str) -> None:
        """`name`: of the camera, for messages."""
        self.name = name
        self.damaged = 0
        """Frames that came damaged and were left out."""
        self.green = False
        """Whether the latest frame has colour samples of zero all over, see
        `pixel_formats.Picture.green`."""
        self.mode = ""
        """Pixel format and size as the camera delivers them, for messages."""
        self._open = True

    @abstractmethod
    def _grab(self) -> Frame:
        """Block for the next frame with the device's timestamp. Raises `CaptureError`."""

    @abstractmethod
    def _release(self) -> None:
        """Close the device; called once."""

    @property
    def title(self) -> str:
        """Its name, with pixel format and size where they are known."""
        return f"{self.name} ({self.mode})" if self.mode else self.name

    def grab(self) -> Frame:
        """Block for the next frame: luma uint8[H, W], C-contiguous; time in seconds, of
        CLOCK_MONOTONIC unless the device's clock is another. Raises `CaptureError`."""
        try:
            return self._grab()
        except CaptureError:
            raise
        except Exception as error:  # errors of the driver's Python binding
            raise CaptureError(
                f"{self.name} failed: {reason(error)}. Check that nothing else "
                "uses it and that it is still plugged in; the agent opens it again by itself."
            ) from None

    def close(self) -> None:
        """Close the device. Idempotent."""
        if self._open:
            self._open = False
            self._release()
