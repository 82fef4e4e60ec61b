"""The closed sets of words that configuration, perception and reports share."""

from typing import Literal

PolicyName = Literal[
    "retail-eu", "retail-us-notice", "research-consented", "classroom", "medical-safety", "demo"
]
Region = Literal["eu", "us", "other"]
Place = Literal["retail", "workplace", "education", "laboratory", "clinic", "home"]
WindowLength = Literal[10, 60, 300, 900, 3600]
"""Seconds."""
Trust = Literal["ntp", "rtc", "holdover", "none"]
"""How far the wall clock can be trusted: see `clock.ClockReading`."""

Cell = Literal["visits", "expression", "valence", "arousal", "attention", "dwell", "micro", "tone"]
"""What a summary consists of, in the order in which it says what it withheld."""
Reason = Literal[
    "below_k",
    "fps_too_low",
    "face_too_small",
    "too_noisy",
    "no_evidence",
    "no_microphone",
    "policy",
]
"""Why a cell was withheld, or why no micro-expression could be seen."""
Flag = Literal[
    "low_light",
    "throttled",
    "undervolt",
    "camera_restart",
    "fps_too_low_for_micro",
    "faces_skipped",
    "frames_dropped",
    "bad_timestamps",
    "frame_size_changed",
    "source_truncated",
    "window_merged",
    "saturated",
]
"""What may be wrong with a window."""
