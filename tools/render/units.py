"""Action units and expressions as ICT-FaceKit coefficients, and back.

The face space names its expressions as ARKit does; which unit each stands for follows the FACS
manual (Ekman, Friesen & Hager 2002). The eight prototypes are combinations as published in EMFACS
(Friesen & Ekman 1983), table 1 of Du, Tao & Martinez 2014 (PNAS 111:E1454) and, for contempt,
Matsumoto & Ekman 2004 (unilateral 12 + 14).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agent.base.types import ACTION_UNITS, EXPRESSIONS
from tools.render.mesh import Floats, head
from tools.render.skin import WRINKLES

BOTH = ("_L", "_R")
UNITS: Mapping[str, Mapping[str, float]] = {
    "AU01": {"browInnerUp": 1.0},
    "AU02": {"browOuterUp": 1.0},
    "AU04": {"browDown": 1.0},
    "AU05": {"eyeWide": 1.0},
    "AU06": {"cheekRaiser": 1.0, "cheekSquint": 0.6},
    "AU07": {"eyeSquint": 1.0},
    "AU09": {"noseSneer": 1.0},
    "AU10": {"mouthUpperUp": 1.0},
    "AU12": {"mouthSmile": 1.0},
    "AU14": {"mouthDimple": 1.0},
    "AU15": {"mouthFrown": 1.0},
    "AU16": {"mouthLowerDown": 1.0},
    "AU17": {"mouthShrugLower": 1.0},
    "AU18": {"mouthPucker": 1.0},
    "AU20": {"mouthStretch": 1.0},
    "AU23": {"mouthRollLower": 0.5, "mouthRollUpper": 0.5},
    "AU24": {"mouthPress": 1.0},
    "AU25": {"mouthLowerDown": 0.45, "mouthUpperUp": 0.2, "jawOpen": 0.06},
    "AU26": {"jawOpen": 1.0},
    "AU45": {"eyeBlink": 1.0},
}
"""Coefficients of each unit at full strength, both sides where the face space has sides."""

Combination = tuple[tuple[str, float, float, float], ...]
"""(unit, probability, least and greatest strength) of a prototype."""
PROTOTYPES: Mapping[str, tuple[Combination, ...]] = {
    "neutral": ((),),
    "happiness": (
        (("AU12", 1, 0.6, 1), ("AU06", 0.8, 0.3, 1), ("AU25", 0.65, 0.2, 1),
         ("AU26", 0.25, 0.05, 0.35)),
        # a smile that shows the teeth, a laugh, a faint smile
        (("AU12", 1, 0.6, 1), ("AU06", 0.9, 0.3, 1), ("AU10", 1, 0.2, 0.6), ("AU16", 1, 0.2, 0.6)),
        (("AU12", 1, 0.7, 1), ("AU06", 1, 0.5, 1), ("AU10", 0.8, 0.2, 0.5), ("AU16", 0.6, 0.1, 0.5),
         ("AU26", 1, 0.2, 0.7)),
        (("AU12", 1, 0.4, 0.75), ("AU06", 0.5, 0.1, 0.5)),
    ),
    "surprise": (
        (("AU01", 1, 0.6, 1), ("AU02", 1, 0.6, 1), ("AU05", 0.9, 0.4, 1), ("AU26", 0.9, 0.2, 0.8)),
        (("AU01", 1, 0.4, 1), ("AU02", 1, 0.4, 1), ("AU05", 1, 0.6, 1), ("AU26", 1, 0.4, 0.9),
         ("AU18", 0.6, 0.1, 0.4)),
        (("AU01", 1, 0.6, 1), ("AU02", 1, 0.6, 1), ("AU05", 1, 0.5, 1), ("AU25", 0.5, 0.1, 0.5)),
    ),
    "sadness": (
        (("AU01", 0.85, 0.4, 1), ("AU04", 0.7, 0.3, 0.8), ("AU15", 1, 0.6, 1),
         ("AU17", 0.6, 0.2, 0.8), ("AU07", 0.3, 0.2, 0.6)),
        (("AU01", 1, 0.5, 1), ("AU04", 0.5, 0.2, 0.6), ("AU15", 0.7, 0.3, 0.8),
         ("AU24", 0.3, 0.2, 0.6), ("AU45", 0.4, 0.2, 0.6)),
        # weeping
        (("AU01", 0.8, 0.4, 1), ("AU04", 1, 0.4, 1), ("AU06", 0.8, 0.3, 1), ("AU07", 0.8, 0.4, 1),
         ("AU09", 0.4, 0.1, 0.5), ("AU15", 0.8, 0.4, 1), ("AU20", 0.8, 0.3, 0.8),
         ("AU25", 0.9, 0.3, 1), ("AU26", 0.8, 0.1, 0.6), ("AU45", 0.5, 0.4, 1)),
    ),
    "anger": (
        (("AU04", 1, 0.6, 1), ("AU05", 0.4, 0.2, 0.7), ("AU07", 0.8, 0.3, 1),
         ("AU23", 0.5, 0.3, 0.8), ("AU24", 0.7, 0.4, 1), ("AU17", 0.4, 0.2, 0.7)),
        (("AU04", 1, 0.6, 1), ("AU07", 0.8, 0.3, 1), ("AU10", 0.8, 0.4, 1), ("AU16", 0.6, 0.3, 1),
         ("AU26", 0.7, 0.1, 0.5), ("AU09", 0.3, 0.2, 0.6)),
        # a shout
        (("AU04", 1, 0.5, 1), ("AU05", 0.4, 0.2, 0.6), ("AU07", 0.6, 0.3, 0.9),
         ("AU10", 0.7, 0.3, 0.8), ("AU16", 0.8, 0.3, 1), ("AU26", 1, 0.4, 0.9),
         ("AU09", 0.4, 0.2, 0.6)),
    ),
    "disgust": (
        (("AU09", 1, 0.6, 1), ("AU10", 0.9, 0.4, 1), ("AU04", 0.5, 0.2, 0.7),
         ("AU17", 0.5, 0.2, 0.7), ("AU07", 0.5, 0.2, 0.7), ("AU15", 0.4, 0.2, 0.6),
         ("AU25", 0.3, 0.2, 0.5)),
        (("AU09", 1, 0.4, 1), ("AU10", 1, 0.5, 1), ("AU07", 0.7, 0.3, 0.8), ("AU16", 0.5, 0.2, 0.7),
         ("AU26", 0.8, 0.1, 0.5)),
    ),
    "fear": (
        (("AU01", 1, 0.6, 1), ("AU02", 0.8, 0.4, 1), ("AU04", 0.8, 0.3, 0.8), ("AU05", 1, 0.5, 1),
         ("AU20", 0.9, 0.5, 1), ("AU25", 0.8, 0.3, 1), ("AU26", 0.5, 0.1, 0.4)),
        # a scream
        (("AU01", 1, 0.5, 1), ("AU02", 0.7, 0.3, 0.8), ("AU04", 0.6, 0.2, 0.6), ("AU05", 1, 0.6, 1),
         ("AU20", 0.8, 0.4, 1), ("AU16", 0.6, 0.3, 0.8), ("AU26", 1, 0.4, 0.9)),
    ),
    "contempt": ((("AU12", 1, 0.3, 0.7), ("AU14", 1, 0.5, 1)),),
}  # fmt: skip


def coefficients(units: Mapping[str, float], left: float = 1.0, right: float = 1.0) -> Floats:
    """float32[57] for unit strengths; `left` and `right` weigh the subject's sides."""
    names = head().names
    out = np.zeros(len(names), np.float32)
    for unit, strength in units.items():
        if unit not in UNITS:
            raise ValueError(f"There is no unit {unit!r}; known: {', '.join(UNITS)}.")
        for name, share in UNITS[unit].items():
            if name in names:
                out[names.index(name)] += share * strength
            else:
                out[names.index(name + "_L")] += share * strength * left
                out[names.index(name + "_R")] += share * strength * right
    return np.clip(out, 0.0, 1.0)


def prototype(rng: np.random.Generator, expression: str, strength: float) -> Floats:
    """float32[57] of one of the eight expressions, its units' strengths drawn at random."""
    if expression not in EXPRESSIONS:
        raise ValueError(f"There is no expression {expression!r}; known: {', '.join(EXPRESSIONS)}.")
    known = PROTOTYPES[expression]
    combination = known[int(rng.integers(len(known)))]
    units = {
        unit: strength * float(rng.uniform(low, high))
        for unit, chance, low, high in combination
        if rng.random() < chance
    }
    left, right = np.clip(1.0 + rng.normal(0, 0.1, 2), 0.6, 1.3)
    if expression == "contempt":
        left, right = (1.0, 0.05) if rng.random() < 0.5 else (0.05, 1.0)
    return coefficients(units, float(left), float(right))


def speech(rng: np.random.Generator) -> Floats:
    """float32[57]: a resting face that says something, swallows, blinks or does nothing at all."""
    names = head().names
    out = np.zeros(len(names), np.float32)
    if rng.random() < 0.5:
        out[names.index("jawOpen")] = rng.uniform(0.02, 0.3)
        for name, most in (("mouthFunnel", 0.5), ("mouthPucker", 0.5), ("mouthShrugUpper", 0.2)):
            if rng.random() < 0.3:
                out[names.index(name)] = rng.uniform(0.0, most)
        for name, most in (
            *(("mouthLowerDown", 0.5), ("mouthUpperUp", 0.25), ("mouthStretch", 0.25)),
            *(("mouthPress", 0.4), ("mouthSmile", 0.15), ("mouthDimple", 0.2)),
        ):
            if rng.random() < 0.3:
                out[[names.index(name + side) for side in BOTH]] = rng.uniform(0.0, most)
    if rng.random() < 0.25:
        out[[names.index("eyeBlink" + side) for side in BOTH]] = rng.uniform(0.1, 1.0)
    if rng.random() < 0.25:
        out[[names.index("browOuterUp" + side) for side in BOTH]] = rng.uniform(0.0, 0.3)
        out[[names.index("browInnerUp" + side) for side in BOTH]] = rng.uniform(0.0, 0.2)
    if rng.random() < 0.2:
        out[[names.index("browDown" + side) for side in BOTH]] = rng.uniform(0.0, 0.25)
    return out


def mixture(rng: np.random.Generator) -> Floats:
    """float32[57]: a few coefficients at random, mostly alike on both sides."""
    names = head().names
    out = np.zeros(len(names), np.float32)
    for i, name in enumerate(names):
        if name.endswith("_R") or name.startswith(("Pupil", "eyeLook")):
            continue
        if rng.random() > 0.16:
            continue
        value = float(rng.beta(1.2, 1.8))
        if name == "jawOpen":
            value *= 0.7
        if name.endswith("_L"):
            other = names.index(name[:-1] + "R")
            if rng.random() < 0.8:
                out[i], out[other] = np.clip(value * (1 + rng.normal(0, 0.1, 2)), 0, 1)
            else:
                out[i if rng.random() < 0.5 else other] = value
        else:
            out[i] = value
    both = min(out[names.index("mouthLeft")], out[names.index("mouthRight")])
    out[[names.index("mouthLeft"), names.index("mouthRight")]] -= both
    out[names.index("mouthClose")] = min(
        out[names.index("mouthClose")], out[names.index("jawOpen")]
    )
    return out


def look(out: Floats, right: float, up: float) -> Floats:
    """Turn both eyes: `right` of the picture and `up`, each in [-1, 1]; returns `out`, changed."""
    names = head().names
    for side in BOTH:
        inward = (right < 0) == (side == "_L")
        out[names.index(("eyeLookIn" if inward else "eyeLookOut") + side)] = abs(right)
        out[names.index(("eyeLookUp" if up > 0 else "eyeLookDown") + side)] = abs(up)
    return out


def action_units(coefficients: Floats) -> Floats:
    """The agent's twelve units float32[12] of float32[57], by the rule that labels photographs."""
    value = dict(zip(head().names, coefficients.tolist(), strict=True))

    def both(name: str) -> float:
        return 0.5 * (value[name + "_L"] + value[name + "_R"])

    pairs = {"AU01": "browInnerUp", "AU02": "browOuterUp", "AU04": "browDown", "AU05": "eyeWide"}
    pairs |= {"AU07": "eyeSquint", "AU10": "mouthUpperUp", "AU12": "mouthSmile"}
    pairs |= {"AU24": "mouthPress", "AU45": "eyeBlink"}
    units = {unit: both(name) for unit, name in pairs.items()}
    units["AU18"], units["AU26"] = value["mouthPucker"], value["jawOpen"]
    units["AU25"] = max(units["AU26"], both("mouthLowerDown"), units["AU10"])
    return np.array([units[unit] for unit in ACTION_UNITS], np.float32)


def wrinkle_strength(coefficients: Floats) -> Floats:
    """float32[6], in `WRINKLES` order: how much each kind of line shows, in [0, 1]."""
    value = dict(zip(head().names, coefficients.tolist(), strict=True))

    def both(name: str) -> float:
        return 0.5 * (value[name + "_L"] + value[name + "_R"])

    found = {
        "forehead": 0.5 * (both("browInnerUp") + both("browOuterUp")),
        "frown": both("browDown"),
        "nose": both("noseSneer"),
        "fold": max(both("mouthSmile"), 0.8 * both("noseSneer"), 0.6 * both("mouthUpperUp")),
        "crow": max(both("cheekRaiser"), both("cheekSquint"), 0.5 * both("eyeSquint")),
        "chin": value["mouthShrugLower"],
    }
    return np.array([found[name] for name in WRINKLES], np.float32)
