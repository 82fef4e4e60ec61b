"""Formant synthesis of short sentences in a planted tone of voice: source, filter, prosody.

A serial formant synthesiser after Klatt (1980, JASA 67(3)) with the glottal pulse of Klatt & Klatt
(1990, JASA 87(2)); pitch after Fujisaki & Hirose (1984, J. Acoust. Soc. Jpn. (E) 5(4)).
"""

from tools.demo.voice.manner import MANNERS, Manner, Voice
from tools.demo.voice.speak import RATE, seconds, speak

__all__ = ["MANNERS", "RATE", "Manner", "Voice", "seconds", "speak"]
