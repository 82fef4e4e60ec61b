"""How a tone of voice is spoken: parameters of source, filter and prosody.

Directions from reviews of the acoustic correlates of vocal expression (Banse & Scherer 1996, J.
Pers. Soc. Psychol. 70(3); Juslin & Laukka 2003, Psychol. Bull. 129(5)), measured as in eGeMAPS
(Eyben et al. 2016). Happiness: pitch high and moving, fast, bright, formants raised by spread lips
(Tartter 1980, Percept. Psychophys. 27(1)). Anger: loud, tense (short open phase, flat spectrum),
open jaw (high first formant), abrupt. Sadness: low and narrow pitch that falls, slow, soft,
breathy, vowels reduced, slow onsets. Sizes were searched within those directions: so that the
functionals of `agent.voice.prosody` lie near the means of acted corpora for the tone, and that the
project's tone networks read it. So they show that a tone is read, never how well.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Voice:
    """A speaker."""

    pitch: float
    """Hz, of neutral speech, about the 20th percentile."""
    tract: float
    """Formants' factor against a man's: 1.17 for women (Fant 1966), up to 1.3 for children."""


@dataclass(frozen=True, slots=True)
class Manner:
    """A tone of voice, relative to the speaker's neutral one."""

    level: float
    """Root mean square of the speech, dB below full scale."""
    pitch: float
    """Semitones above the speaker's neutral pitch."""
    accent: float
    """Semitones that a stressed syllable rises by."""
    phrase: float
    """Semitones of the phrase's initial rise, which declination undoes."""
    final: float
    """Semitones that the last stressed syllable ends above the base; below 0 falls."""
    rate: float
    """Of speaking, against the inherent durations."""
    stress: float
    """dB that stressed vowels are louder than others."""
    open_quotient: float
    """Share of the glottal period in which the glottis is open."""
    tilt: float
    """Hz above which the glottal spectrum falls by 6 dB an octave more: the return phase."""
    breath: float
    """Aspiration noise against voicing."""
    jitter: float
    shimmer: float
    """Standard deviation from one period to the next, relative."""
    first_formant: float
    """Factor: above 1 with an open jaw."""
    formants: float
    """Factor of all: above 1 with spread lips, below with protruded ones."""
    reduction: float
    """In [0, 1]: how far vowels move towards the neutral tract."""
    onset: float
    """Seconds in which voicing sets in and ends."""
    pause: float
    """Seconds at a comma."""


MANNERS = {
    "neutral": Manner(
        level=-25.0, pitch=-0.5, accent=2.5, phrase=1.9, final=-1.6, rate=1.05, stress=3.4,
        open_quotient=0.68, tilt=660.0, breath=0.026, jitter=0.005, shimmer=0.05,
        first_formant=1.03, formants=1.0, reduction=0.0, onset=0.012, pause=0.15,
    ),
    "happy": Manner(
        level=-21.5, pitch=8.5, accent=7.8, phrase=4.7, final=2.7, rate=1.18, stress=1.4,
        open_quotient=0.69, tilt=3300.0, breath=0.035, jitter=0.006, shimmer=0.05,
        first_formant=1.02, formants=1.07, reduction=0.06, onset=0.011, pause=0.07,
    ),
    "angry": Manner(
        level=-18.5, pitch=5.5, accent=6.0, phrase=3.0, final=-2.0, rate=1.2, stress=4.5,
        open_quotient=0.39, tilt=8000.0, breath=0.035, jitter=0.025, shimmer=0.08,
        first_formant=1.13, formants=1.02, reduction=0.0, onset=0.005, pause=0.12,
    ),
    "sad": Manner(
        level=-29.0, pitch=-0.6, accent=1.9, phrase=1.4, final=-2.0, rate=0.83, stress=1.6,
        open_quotient=0.62, tilt=400.0, breath=0.14, jitter=0.022, shimmer=0.08,
        first_formant=0.92, formants=0.96, reduction=0.24, onset=0.025, pause=0.4,
    ),
}  # fmt: skip
