"""The sounds of English as targets of a formant synthesiser, by their ARPAbet names.

Vowels: means of 33 men (Peterson & Barney 1952, JASA 24(2)). Consonants: rounded from Klatt (1980).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Manner = Literal["vowel", "glide", "nasal", "fricative", "stop", "breath"]
Formants = tuple[float, float, float]

_VOWELS: dict[str, Formants] = {
    "IY": (270, 2290, 3010), "IH": (390, 1990, 2550), "EH": (530, 1840, 2480),
    "AE": (660, 1720, 2410), "AA": (730, 1090, 2440), "AO": (570, 840, 2410),
    "UH": (440, 1020, 2240), "UW": (300, 870, 2240), "AH": (640, 1190, 2390),
    "ER": (490, 1350, 1690),
}  # fmt: skip
_DIPHTHONGS = {
    "EY": ("EH", "IY"), "AY": ("AA", "IH"), "OW": ("AO", "UH"), "AW": ("AA", "UH"),
    "OY": ("AO", "IH"),
}  # fmt: skip
_GLIDES: dict[str, Formants] = {
    "W": (290, 650, 2200), "Y": (260, 2150, 3000), "R": (320, 1150, 1550), "L": (350, 1000, 2800),
}  # fmt: skip
_NASALS: dict[str, Formants] = {
    "M": (260, 1050, 2150), "N": (260, 1500, 2450), "NG": (260, 2100, 2650),
}  # fmt: skip
_LIPS, _GUMS, _PALATE, _VELUM = (
    (300.0, 950.0, 2150.0), (300.0, 1700.0, 2600.0), (300.0, 1950.0, 2650.0),
    (300.0, 1850.0, 2200.0),
)  # fmt: skip
_FRICATIVES: dict[str, tuple[Formants, float, float, float, bool]] = {
    "S": (_GUMS, 5400, 2200, 0.55, False), "Z": (_GUMS, 5400, 2200, 0.28, True),
    "SH": (_PALATE, 3000, 1500, 0.55, False), "F": (_LIPS, 4500, 6000, 0.16, False),
    "V": (_LIPS, 4500, 6000, 0.07, True), "TH": (_GUMS, 5500, 6000, 0.12, False),
    "DH": (_GUMS, 5500, 6000, 0.05, True),
}  # fmt: skip
_STOPS: dict[str, tuple[Formants, float, float, float, bool]] = {
    "P": (_LIPS, 1000, 2500, 0.5, False), "B": (_LIPS, 1000, 2500, 0.3, True),
    "T": (_GUMS, 4200, 2500, 0.6, False), "D": (_GUMS, 4000, 2500, 0.35, True),
    "K": (_VELUM, 2000, 900, 0.5, False), "G": (_VELUM, 2000, 900, 0.3, True),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Phone:
    """One sound; diphthongs move from `formants` to `glide`."""

    manner: Manner
    formants: Formants
    """First to third formant, Hz, of a man's vocal tract."""
    glide: Formants | None = None
    noise: tuple[float, float, float] = (4000.0, 3000.0, 0.0)
    """Of frication or burst: centre and bandwidth, Hz, and amplitude."""
    voiced: bool = True

    @property
    def seconds(self) -> float:
        """Inherent duration, unstressed."""
        return {
            "vowel": 0.085 if self.glide is None else 0.12, "glide": 0.06, "nasal": 0.065,
            "fricative": 0.075 if self.voiced else 0.1, "stop": 0.07, "breath": 0.06,
        }[self.manner]  # fmt: skip


def phone(name: str) -> Phone:
    """By its ARPAbet name, without the digit of stress. Raises KeyError."""
    if name in _VOWELS:
        return Phone("vowel", _VOWELS[name])
    if name in _DIPHTHONGS:
        start, end = _DIPHTHONGS[name]
        return Phone("vowel", _VOWELS[start], _VOWELS[end])
    if name in _GLIDES:
        return Phone("glide", _GLIDES[name])
    if name in _NASALS:
        return Phone("nasal", _NASALS[name])
    if name == "HH":
        return Phone("breath", _VOWELS["AH"], voiced=False)
    kind: Manner = "fricative" if name in _FRICATIVES else "stop"
    locus, centre, width, gain, voiced = {**_FRICATIVES, **_STOPS}[name]
    return Phone(kind, locus, None, (centre, width, gain), voiced)
