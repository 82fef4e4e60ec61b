"""Closed enumerations shared by configuration, perception and reports."""

from typing import Literal

PolicyName = Literal[
    "retail-eu", "retail-us-notice", "research-consented", "classroom", "medical-safety", "demo"
]
Region = Literal["eu", "us", "other"]
Place = Literal["retail", "workplace", "education", "laboratory", "clinic", "home"]
WindowLength = Literal[10, 60, 300, 900, 3600]
"""Seconds."""
Trust = Literal["ntp", "rtc", "holdover", "none"]
"""Trust in the wall clock: see `clock.ClockReading`."""

Cell = Literal[
    "visits",
    "passing",
    "expression",
    "valence",
    "arousal",
    "attention",
    "dwell",
    "micro",
    "tone",
]
"""The cells of a summary, in the order of `Summary.withheld`."""
HeardCell = Literal[
    "speech",
    "voice_valence",
    "voice_arousal",
    "words",
    "fused",
    "channels",
    "room_tone",
    "room_words",
]
"""The cells of `Heard`, in declared order."""
AnyCell = Cell | HeardCell
Reason = Literal[
    "below_k",
    "fps_too_low",
    "face_too_small",
    "too_noisy",
    "no_evidence",
    "no_microphone",
    "policy",
]
"""Why a cell was withheld, or a face not analysable for micro-expressions."""
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
"""Quality problems of a window."""
SoundFlag = Literal["sound_invalid", "sound_clipped", "sound_silent", "sound_lost"]
"""Quality problems of a window's sound: numbers that are none, an overdriven microphone, one that
delivers digital silence, samples that were not taken in time."""
