"""Perception results. Personal: kept in memory only, never reach `uplink`.

Frames of reference: *frame pixels* have their origin at the centre of the top-left pixel, x to the
right, y down. All times are seconds on the source's own monotonic clock.

All are immutable by convention. Those created for every frame are not `frozen`, which would set
each field through `object.__setattr__` at five times the cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Grey = NDArray[np.uint8]

Infer = Callable[[NDArray[np.uint8]], Mapping[str, Float]]
"""One inference: a grey uint8[H, W] picture in, dequantised float32 outputs by name out."""

SOUND_RATE = 16_000
"""Samples per second of all sound in the process."""

EXPRESSIONS = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
)
"""FERPlus order (Barsoum et al. 2016, arXiv:1608.01041)."""

ACTION_UNITS = (
    "AU01",
    "AU02",
    "AU04",
    "AU05",
    "AU07",
    "AU10",
    "AU12",
    "AU18",
    "AU24",
    "AU25",
    "AU26",
    "AU45",
)
"""Action units of the expression network, FACS numbers (Ekman, Friesen & Hager 2002)."""


MICRO_ACTION_UNITS = (
    "AU01",
    "AU02",
    "AU04",
    "AU05",
    "AU06",
    "AU07",
    "AU09",
    "AU10",
    "AU12",
    "AU14",
    "AU15",
    "AU17",
    "AU20",
    "AU24",
    "AU25",
    "AU26",
)
"""Action units that can be inferred from movements of the 68 landmarks, FACS numbers."""

TONES = ("neutral", "happy", "angry", "sad")
"""Tones of voice."""
SENTIMENTS = ("negative", "neutral", "positive")
"""Of words; also the classes that face, voice and words are fused to."""
CHANNELS = ("face", "voice", "words")
UNSURE = "unsure"
"""The label of a reading that names no class."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of the luma plane."""

    time: float
    """Seconds, the source's clock; strictly increasing within one source."""
    luma: Grey
    """uint8[H, W]."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """A stretch of sound, mono, at `SOUND_RATE`."""

    time: float
    """Seconds, the clock of the source's frames: of its first sample."""
    samples: Float
    """float32[S], full scale +-1."""

    @property
    def end(self) -> float:
        """Seconds."""
        return self.time + len(self.samples) / SOUND_RATE


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Faces found in one frame, strongest first; N may be 0."""

    boxes: Float
    """float32[N, 4], xyxy, frame pixels."""
    scores: Float
    """float32[N], in [0, 1]."""
    keypoints: Float
    """float32[N, 5, 2], frame pixels: image-left eye, image-right eye, nose tip, image-left and
    image-right mouth corner."""


@dataclass(slots=True, eq=False)
class Landmarks:
    """68 points of one face in iBUG order (Sagonas et al. 2013)."""

    points: Float
    """float32[68, 2], frame pixels."""
    presence: float
    """Probability that the crop showed a face, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Head rotation in degrees, camera frame. All zero when facing the camera.

    yaw > 0: the face turns to the right edge of the picture; pitch > 0: it looks down;
    roll > 0: it tilts clockwise as seen in the picture.
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """Expression of one face as human annotators would label it; not the person's emotion."""

    probabilities: Float
    """float32[8], calibrated, in `EXPRESSIONS` order; sums to 1."""
    unsure: bool
    """True below the calibrated threshold: no class should be named."""
    valence: float
    """In [-1, 1]."""
    arousal: float
    """In [-1, 1]."""
    action_units: Float
    """float32[12], in `ACTION_UNITS` order, intensities in [0, 1]."""
    visible: float = 1.0
    """In [0, 1]: how far the lower face is to be seen; low behind a mask."""


@dataclass(frozen=True, slots=True)
class MicroExpression:
    """A spotted movement: onset <= apex <= offset, source seconds."""

    track_id: int
    onset: float
    apex: float
    offset: float
    intensity: float
    """Peak displacement, inter-ocular distances (outer eye corners)."""
    polarity: str
    """positive | negative | surprise | unspecified."""
    action_units: tuple[str, ...] = ()
    """Of `MICRO_ACTION_UNITS`, strongest first."""
    score: float = 0.0
    """In [0, 1]: probability of a micro-expression, calibrated on synthetic tracks."""
    emitted: float = 0.0
    """Source seconds at which it was spotted."""


@dataclass(slots=True, eq=False)
class MicroStatus:
    """Whether one face was analysable for micro-expressions in one frame."""

    analysed: bool
    reason: str | None
    """Why not: `fps_too_low` | `face_too_small` | `too_noisy` | `no_evidence` (not long enough in
    view). None where analysed, and where the spotter was not given the face."""
    noise: float
    """Standard deviation of brows and mouth at rest within a micro-expression's duration,
    inter-ocular distances; NaN while unknown."""


NOT_ANALYSED = MicroStatus(False, None, math.nan)
"""For a face skipped by the time budget, or where no spotter runs."""


@dataclass(slots=True, eq=False)
class Face:
    """Results of all stages for one tracked face in one frame."""

    track_id: int
    box: Float
    """float32[4], xyxy, frame pixels."""
    score: float
    landmarks: Landmarks
    """Stabilised."""
    raw_points: Float
    """float32[68, 2], frame pixels: the network's output, not stabilised; where it rested its
    latest one, moved along with the head."""
    pose: Pose
    attentive: bool
    expression: Expression | None
    """Newest estimate of this track; None before the first."""
    expression_is_new: bool = False
    """Whether it was estimated from this frame."""
    micro: MicroStatus = NOT_ANALYSED


@dataclass(slots=True, eq=False)
class Perceived:
    """Results of one frame."""

    time: float
    faces: tuple[Face, ...]
    micro: tuple[MicroExpression, ...] = ()
    """Spotted at this frame, in any track."""
    skipped: int = 0
    """Tracks left out of this frame by the time budget."""
    size: tuple[int, int] | None = None
    """Width and height of the frame, pixels; None: unknown."""
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall seconds per stage; `model.*`: inside the inference runtime."""
    speech: float | None = None
    """Probability that somebody spoke in the last .3 s; None: nobody listens."""
    dark: bool = False
    """The picture was dark (`agent.vision.exposure`)."""


@dataclass(frozen=True, slots=True, eq=False)
class Tone:
    """Tone of voice in about three seconds of speech, as listeners would label it."""

    time: float
    """Of its end."""
    seconds: float
    """Of speech in it."""
    arousal: float
    """In [-1, 1]."""
    valence: float
    """In [-1, 1]."""
    probabilities: Float
    """float32[4], calibrated, in `TONES` order; sums to 1."""
    label: str
    """One of `TONES`, or `UNSURE`."""
    track_id: int | None = None
    """The one face in view; None: nobody's, the room's."""
    quality: float = 1.0
    """In [0, 1]: how far the speech stands out of the noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """Sentiment of one utterance; not the words."""

    time: float
    probabilities: Float
    """float32[3], calibrated, in `SENTIMENTS` order; sums to 1."""
    label: str
    """One of `SENTIMENTS`, or `UNSURE`."""
    track_id: int | None = None
    """As of `Tone`."""


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """What the channels that took part say together of one face."""

    time: float
    probabilities: Float
    """float32[3], in `SENTIMENTS` order; sums to 1."""
    label: str
    """One of `SENTIMENTS`, or `UNSURE`."""
    channels: frozenset[str]
    """Of `CHANNELS`: those with a weight above 0."""
    track_id: int


@dataclass(slots=True)
class Tally:
    """Running sums over readings of one kind."""

    sums: Float
    """float32[N], probabilities of the readings that are not `UNSURE`."""
    readings: int = 0
    unsure: int = 0

    @classmethod
    def of(cls, classes: int) -> Tally:
        return cls(np.zeros(classes, np.float32))

    def add(self, probabilities: Float, label: str) -> None:
        self.readings += 1
        if label == UNSURE:
            self.unsure += 1
        else:
            self.sums += np.asarray(probabilities, np.float32)

    def merge(self, other: Tally) -> None:
        self.sums += other.sums
        self.readings += other.readings
        self.unsure += other.unsure

    @property
    def dominant(self) -> int:
        """The class with the largest sum; N (unsure) where more than half of the readings were
        unsure, or there were none."""
        if 2 * self.unsure > self.readings or self.readings == 0:
            return len(self.sums)
        return int(np.argmax(self.sums))


@dataclass(slots=True)
class Said:
    """Running sums over what was heard and read of one visit."""

    seconds: float = 0.0
    """Of speech."""
    tone: Tally = field(default_factory=lambda: Tally.of(len(TONES)))
    valence: float = 0.0
    """Sum over readings of `tone`."""
    arousal: float = 0.0
    words: Tally = field(default_factory=lambda: Tally.of(len(SENTIMENTS)))
    fused: Tally = field(default_factory=lambda: Tally.of(len(SENTIMENTS)))
    channels: set[str] = field(default_factory=set)
    """Of `CHANNELS`: those that took part in `fused`."""

    def merge(self, other: Said) -> None:
        self.seconds += other.seconds
        self.tone.merge(other.tone)
        self.valence += other.valence
        self.arousal += other.arousal
        self.words.merge(other.words)
        self.fused.merge(other.fused)
        self.channels |= other.channels


@dataclass(slots=True)
class Visit:
    """Running sums over one stay from first to last frame; counted once, when it ends."""

    track_id: int
    """Of its first track."""
    first: float
    last: float
    slot: int
    attention: float = 0.0
    """Seconds facing the camera."""
    expression: Float = field(default_factory=lambda: np.zeros(8, np.float32))
    """float32[8], summed probabilities of the estimates that are not `unsure`."""
    estimates: int = 0
    """Number of expression estimates."""
    unsure: int = 0
    valence: float = 0.0
    """Sum over estimates."""
    arousal: float = 0.0
    micro: set[str] = field(default_factory=set)
    """Polarities spotted at least once."""
    analysable: float = 0.0
    """Seconds analysable for micro-expressions."""
    refused: dict[str, float] = field(default_factory=dict)
    """Seconds not analysable, by `MicroStatus.reason`."""
    size: float = 0.0
    """Largest inter-ocular distance (outer eye corners), pixels."""
    said: Said | None = None
    """None: nothing was."""
    passing: bool = False
    """Too short for a visit: somebody who passed by. Counts as that and nothing else."""
    place: tuple[int, int, int] | None = None
    """Where in the picture a face stayed: scale, column and row of a grid whose cells have about
    the size of the face. None for one that moved on by more than its own size."""
