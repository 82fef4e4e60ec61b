"""A camera: what can be opened, asked for frames, and closed. It runs in a process of its own.

Nothing here starts a thread or waits for anybody but the device: whoever reads a camera in the
capture process may hang in any of these calls, and is killed by the process that waits for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from agent.base.errors import CaptureError, reason
from agent.base.types import Frame

if TYPE_CHECKING:  # the capture process does without pydantic
    import numpy as np


class Camera(ABC):
    """A camera that is open. Subclasses open the device in their constructor, which raises
    `CaptureError`."""

    def __init__(self, name: str) -> None:
        """`name`: of the camera, for messages."""
        self.name = name
        self.damaged = 0
        """Frames that came damaged and were left out."""
        self.raw: np.ndarray | None = None
        """The buffer of the latest frame as the driver gave it, colour samples and all; None where
        it is not kept. A uniform picture's colour tells zeros (green) from darkness."""
        self._open = True

    @abstractmethod
    def _grab(self) -> Frame:
        """Block for the next frame with the device's timestamp. Raises `CaptureError`."""

    @abstractmethod
    def _release(self) -> None:
        """Close the device; called once."""

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
