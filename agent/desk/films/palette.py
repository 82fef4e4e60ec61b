"""Colours by role, for light and dark pages; print is light. Expressions as in the timelines of
`fleeting replay`."""

from __future__ import annotations

from agent.desk.trace.heard import SENTIMENT_COLOURS, TONE_COLOURS
from agent.desk.trace.timeline import COLOURS, POLARITIES

INK = {
    "ink": ("#16202a", "#e8edf2"),
    "soft": ("#5a6672", "#9aa7b4"),
    "grid": ("#e3e8ed", "#2c3540"),
    "panel": ("#f5f7f9", "#1b222a"),
    "paper": ("#ffffff", "#12171d"),
    "accent": ("#1f5f99", "#6db3f2"),
    "second": ("#c05621", "#f0955c"),
    "attentive": ("#2b8a5b", "#4cc38a"),
    "away": ("#cfd7de", "#43505d"),
    "caution": ("#8a5a00", "#e3b341"),
    "caution-paper": ("#fff8e6", "#2a2413"),
    "bad": ("#b3261e", "#ff8a80"),
    "face": ("#f0f3f5", "#252d36"),
    "speech": ("#c9d3dc", "#3d4a57"),
}
_DARK = {
    "expression-neutral": "#6b7580",
    "expression-sadness": "#6ea6e6",
    "expression-fear": "#4aa3b5",
    "tone-neutral": "#6b7580",
    "words-neutral": "#6b7580",
    "micro-unspecified": "#9aa3ad",
    "micro-negative": "#ec6a5c",
    "micro-surprise": "#b07ae0",
}
"""Where a colour does not do on a dark page."""
_UNSURE = ("#dbe1e7", "#4a5663")


def _paired(prefix: str, colours: dict[str, str]) -> dict[str, tuple[str, str]]:
    named = {f"{prefix}-{name}": colour for name, colour in colours.items()}
    return {role: (colour, _DARK.get(role, colour)) for role, colour in named.items()}


PALETTE: dict[str, tuple[str, str]] = {
    **INK,
    **_paired("expression", COLOURS),
    **_paired("micro", POLARITIES),
    **_paired("tone", TONE_COLOURS),
    **_paired("words", SENTIMENT_COLOURS),
    "expression-neutral": ("#aab4be", _DARK["expression-neutral"]),
    "expression-unsure": _UNSURE,
    "tone-unsure": _UNSURE,
    "words-unsure": _UNSURE,
    "why-analysed": ("#2b8a5b", "#4cc38a"),
    "why-fps_too_low": ("#a97c50", "#c79a6c"),
    "why-face_too_small": ("#e0a93f", "#e0a93f"),
    "why-too_noisy": ("#c0564c", "#e07a70"),
    "why-no_evidence": ("#cfd7de", "#43505d"),
}
"""Light and dark, `#rrggbb`."""


def light(role: str) -> str:
    return PALETTE[role][0]


def css() -> str:
    """Custom properties of both schemes, and a class for each role: `f-` fills, `s-` strokes."""
    day = "".join(f"--{role}:{pair[0]};" for role, pair in PALETTE.items())
    night = "".join(f"--{role}:{pair[1]};" for role, pair in PALETTE.items())
    classes = "".join(f".f-{r}{{fill:var(--{r})}}.s-{r}{{stroke:var(--{r})}}" for r in PALETTE)
    return (
        f":root{{{day}}}@media screen and (prefers-color-scheme:dark){{:root{{{night}}}}}{classes}"
    )
