"""Configuration of the generator of synthetic tracks, and the seeds.

Tests and the benchmark use the defaults; `GeneratorConfig.vary` is for training alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

TEST_SEEDS = range(10_000, 11_000)
"""For reported figures only: nothing is chosen, tuned or trained on these."""
TUNE_SEEDS = range(20_000, 21_000)
"""For thresholds, and for choosing between variants."""
TRAIN_SEEDS = range(100_000, 1_000_000)
"""For training."""

_SHARES = ("white", "spatial", "slow")


@dataclass(frozen=True, slots=True)
class GeneratorConfig:
    """IOD is the distance between the outer eye corners of the frontal neutral face.

    Rates are per minute, angles degrees, lengths IOD and times seconds unless a line says
    otherwise. Durations, apex shares and action units follow the pooled statistics of published
    codings (CASME II, SAMM, SMIC-HS, DFME; aggregates only); the rest are estimates.
    """

    # Micro-expressions
    amplitude: tuple[float, float] = (0.01, 0.05)
    """Largest displacement of a landmark at the apex, before `small_units` is applied."""
    small_units: float = 0.55
    """Factor for movements of lids, nose wings and pressed lips alone."""
    shortest: float = 0.10
    longest: float = 0.54
    duration_shape: tuple[float, float] = (2.5, 1.5)
    """Beta distribution between `shortest` and `longest`: mean .375, sd .095, 5-95 % .20-.51."""
    apex_share: tuple[float, float] = (0.516, 0.15)
    """Mean and sd of (apex - onset) / (offset - onset), cut to .2-.8."""
    one_sided: float = 0.15
    hold: float = 0.20
    """Largest share of the duration spent at the apex."""
    residual: float = 0.10
    """Largest share of the movement left at the offset; it decays within a second or two."""
    with_blink: float = 0.15
    """Share of micro-expressions that coincide with a blink."""

    # The person
    shape_spread: float = 0.06
    """Relative sd of a face's proportions."""
    gain_spread: float = 0.25
    """Largest relative change of a unit's displacement field, per unit and person (uniform)."""
    rotation: float = 15.0
    """Largest rotation of a unit's displacement field."""
    field_spread: float = 0.15
    """Relative sd of one landmark's part in a unit's field."""
    asymmetry: float = 0.10
    """Relative sd of one side's strength."""
    idle: float = 0.001
    """sd of each unit's slow activity at rest (0.04-0.7 Hz)."""

    # Other movements of the face
    macro_rate: float = 3.0
    macro_amplitude: tuple[float, float] = (0.04, 0.14)
    macro_duration: tuple[float, float, float] = (0.6, 1.2, 4.0)
    """Least, median (log-normal, sigma .5) and most."""
    blink_rate: float = 15.0
    crosstalk: tuple[float, float] = (0.02, 0.08)
    """Brow movement as a share of the lid's closure, per person."""
    gaze_rate: float = 18.0
    """Saccades with a vertical part; the lids follow in a step."""
    gaze_step: float = 0.010
    speech_share: float = 0.25
    """Of the time."""
    speech_amplitude: tuple[float, float] = (0.012, 0.06)
    speech_rate: float = 4.6
    """Syllables per second."""

    # Head
    head_angle: float = 5.0
    """sd of slow yaw; pitch .65 and roll .5 of it."""
    head_shift: float = 0.12
    head_speed: float = 1.0
    """Factor on the frequencies of slow motion."""
    tremor: float = 0.06
    """sd of head tremor at 1-6 Hz."""
    nod_rate: float = 1.5
    turn_rate: float = 2.0
    distance: tuple[float, float] = (6.0, 13.0)
    """Camera to face."""
    face_size: tuple[float, float] = (70.0, 160.0)
    """IOD in pixels."""
    contour_slide: float = 0.12
    """How far the jaw's visible contour slides over the skin per radian of yaw."""
    pose_bias: float = 0.002
    """sd of the landmark network's bias per 10 degrees of pose."""

    # Light, tracker, camera
    light_rate: float = 1.0
    light_bias: float = 0.005
    restart_rate: float = 0.8
    """Re-initialisations of the tracker: the landmarks jump."""
    restart_jump: float = 0.006
    glitch_rate: float = 2.0
    """Single wrong frames."""
    glitch_size: float = 0.04
    drop: float = 0.02
    """Probability that a frame is missing."""
    burst_rate: float = 0.8
    """Runs of lost frames, .07-.3 s; a half is missing, a half has confidence 0."""
    jitter: float = 0.0015
    """sd of the times between frames, and half of it as error of the time stamps."""

    # Landmark noise, shares of the variance
    white: float = 0.55
    spatial: float = 0.25
    slow: float = 0.20
    slow_time: float = 0.25
    """Time constant of the slow part, an AR(1) process."""
    spatial_reach: float = 0.25
    """Gaussian length over which the spatial part is correlated."""
    contour_noise: float = 1.0
    """Factor of the noise on the jaw (points 0-16)."""

    def vary(self, rng: np.random.Generator) -> GeneratorConfig:
        """A random variation of this configuration, for training: wider in everything."""

        def scaled(low: float, high: float) -> float:
            return float(np.exp(rng.uniform(np.log(low), np.log(high))))

        plain = {
            "blink_rate": scaled(0.3, 2.5),
            "gaze_rate": scaled(0.3, 2.0),
            "gaze_step": scaled(0.5, 2.0),
            "macro_rate": scaled(0.2, 2.0),
            "head_angle": scaled(0.3, 2.0),
            "head_shift": scaled(0.3, 2.0),
            "head_speed": scaled(0.6, 1.8),
            "tremor": scaled(0.3, 2.0),
            "nod_rate": scaled(0.3, 3.0),
            "turn_rate": scaled(0.3, 2.5),
            "light_rate": scaled(0.3, 3.0),
            "light_bias": scaled(0.5, 2.0),
            "restart_rate": scaled(0.3, 3.0),
            "restart_jump": scaled(0.5, 2.0),
            "glitch_rate": scaled(0.3, 3.0),
            "glitch_size": scaled(0.4, 2.0),
            "drop": scaled(0.1, 3.0),
            "burst_rate": scaled(0.2, 3.0),
            "jitter": scaled(0.2, 2.5),
            "idle": scaled(0.3, 2.5),
            "pose_bias": scaled(0.3, 2.5),
            "contour_slide": scaled(0.3, 2.0),
            "shape_spread": scaled(0.6, 1.5),
            "gain_spread": scaled(0.6, 1.6),
            "rotation": scaled(0.6, 1.6),
            "field_spread": scaled(0.6, 2.0),
            "asymmetry": scaled(0.6, 2.0),
            "slow_time": scaled(0.5, 2.0),
            "spatial_reach": scaled(0.5, 2.0),
            "speech_rate": scaled(0.75, 1.35),
        }
        values: dict[str, Any] = {
            name: getattr(self, name) * factor for name, factor in plain.items()
        }
        least, median, most = self.macro_duration
        shares = rng.dirichlet([getattr(self, name) * 12 for name in _SHARES])
        values.update(zip(_SHARES, map(float, shares), strict=True))
        talk = scaled(0.6, 1.5)
        return replace(
            self,
            **values,
            speech_share=float(rng.choice([0.0, rng.uniform(0.05, 0.5)], p=[0.15, 0.85])),
            speech_amplitude=(self.speech_amplitude[0] * talk, self.speech_amplitude[1] * talk),
            crosstalk=(self.crosstalk[0] * scaled(0.3, 1.0), self.crosstalk[1] * scaled(1.0, 2.0)),
            contour_noise=float(rng.uniform(1.0, 2.5)),
            duration_shape=(
                self.duration_shape[0] * scaled(0.6, 1.4),
                self.duration_shape[1] * scaled(0.7, 1.4),
            ),
            macro_duration=(least, median * scaled(0.8, 1.5), most),
            apex_share=(self.apex_share[0] + float(rng.uniform(-0.08, 0.06)), self.apex_share[1]),
            one_sided=float(rng.uniform(0.05, 0.3)),
            with_blink=float(rng.uniform(0.0, 0.3)),
            residual=float(rng.uniform(0.0, 0.25)),
        )

    def scaled(self, distractors: float) -> GeneratorConfig:
        """Everything that is no micro-expression, noise or lost frame, made rarer or worse.

        0 leaves a face at rest on a nearly still head; 1 is this configuration; 2 is severe.
        """
        if distractors == 1.0:
            return self
        rarer = ("macro_rate", "gaze_rate", "nod_rate", "turn_rate", "light_rate", "restart_rate")
        changed: dict[str, Any] = {
            name: getattr(self, name) * distractors for name in (*rarer, "glitch_rate")
        }
        changed["blink_rate"] = min(self.blink_rate * distractors, max(self.blink_rate, 28.0))
        changed["speech_share"] = min(self.speech_share * distractors, 0.6)
        changed["with_blink"] = min(self.with_blink * distractors, 0.5)
        for name in ("head_angle", "head_shift", "head_speed", "tremor"):
            changed[name] = getattr(self, name) * (0.4 + 0.6 * distractors)
        for name in ("idle", "pose_bias", "light_bias", "restart_jump"):
            changed[name] = getattr(self, name) * distractors**0.5
        low, high = self.crosstalk
        changed["crosstalk"] = (low * min(distractors, 1.0), high * distractors**0.5)
        return replace(self, **changed)


SHIFTED = GeneratorConfig(
    duration_shape=(1.2, 1.0),
    hold=0.6,
    residual=0.3,
    one_sided=0.35,
    gain_spread=0.5,
    rotation=35.0,
    field_spread=0.4,
    asymmetry=0.25,
    idle=0.002,
    crosstalk=(0.05, 0.15),
    speech_rate=6.0,
    speech_amplitude=(0.006, 0.03),
    contour_slide=0.3,
    pose_bias=0.005,
    white=0.2,
    spatial=0.45,
    slow=0.35,
    slow_time=0.5,
    spatial_reach=0.5,
)
"""Other assumptions, mostly beyond what training varies: how much does a figure owe to sharing the
default's?"""
