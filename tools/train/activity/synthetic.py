"""Speech whose terms allow any use: nonsense and sentences of our own, said by synthesisers.

Needs the programs `espeak-ng` (formants, in a hundred languages) and `flite` (voices cut from
recordings of some people), as Debian packages them; what they say belongs to whoever made them say
it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

import numpy as np

from agent.base.types import Float
from agent.voice.sound import RATE

LANGUAGES = (
    "en-us", "en-gb", "de", "fr-fr", "es", "it", "pt", "nl", "sv", "pl", "cs", "ru", "tr", "fi",
    "hu", "el", "ar", "fa", "hi", "am", "sw", "id", "vi", "cmn", "ja", "ko",
)  # fmt: skip
VARIANTS = (
    "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "klatt",
    "klatt2", "klatt3", "klatt4", "croak", "whisper", "Alex", "Andy", "Annie", "Gene", "Hugo",
    "Lee", "Mario", "Storm", "belinda", "linda", "steph", "adam", "grandma", "grandpa", "max",
)  # fmt: skip
FLITE = ("kal16", "awb", "rms", "slt")
KEPT_VARIANTS = ("m7", "f5", "klatt3", "Annie", "Hugo")
"""And the voice `rms`: heard in validation alone."""
_SYLLABLES = (
    "ba", "de", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu", "va", "ze", "sha", "cho", "fa",
    "gi", "hu", "ja", "ly", "stra", "pre", "klo", "flu", "gri", "ston", "mer", "kan", "del", "bis",
    "fort", "lin", "sam", "ter", "wen", "os", "ik", "ul", "an", "er", "is",
)  # fmt: skip
_SENTENCES = (
    "Could you tell me where the next train to the harbour leaves from?",
    "We were here an hour ago, and nobody had opened the door.",
    "Thank you, that was a lovely surprise; I did not expect it at all!",
    "No, I never said that. Please listen to me for a moment.",
    "The soup is hot, the bread is fresh, and the tea will be ready soon.",
    "Six small ships crossed the shallow bay before the storm came in.",
    "What a mess! Who left the window open over the weekend?",
    "My brother bought twelve yellow chairs for his new kitchen.",
    "I think I will take the blue one, if it is still there.",
    "Turn left behind the church, then follow the river to the bridge.",
)


def utterances(count: int, valid: bool, seed: int = 5) -> list[Float]:
    """float32[S] each. Raises `SystemExit` where a synthesiser is absent."""
    absent = [name for name in ("espeak-ng", "flite") if not shutil.which(name)]
    if absent:
        raise SystemExit(f"{' and '.join(absent)} cannot be found: install them (apt).")
    rng = np.random.default_rng([seed, int(valid)])
    return [_said(_command(rng, valid)) for _ in range(count)]


def _command(rng: np.random.Generator, valid: bool) -> Sequence[str]:
    text = " ".join(_phrase(rng) for _ in range(int(rng.integers(1, 4))))
    if rng.random() < 0.4:
        voice = "rms" if valid else str(rng.choice([each for each in FLITE if each != "rms"]))
        return (
            *("flite", "-voice", voice, "--setf", f"duration_stretch={rng.uniform(0.8, 1.3):.2f}"),
            *("--setf", f"int_f0_target_mean={rng.uniform(85, 240):.0f}", "-t", text, "-o"),
        )
    names = KEPT_VARIANTS if valid else [v for v in VARIANTS if v not in KEPT_VARIANTS]
    voice = f"{rng.choice(LANGUAGES)}+{rng.choice(names)}"
    return (
        *("espeak-ng", "-v", voice, "-s", f"{rng.integers(120, 230)}"),
        *("-p", f"{rng.integers(10, 90)}", "-w", "/dev/stdout", text),
    )


def _phrase(rng: np.random.Generator) -> str:
    """A sentence, or words that no language has."""
    if rng.random() < 0.4:
        return str(rng.choice(_SENTENCES))
    words = [
        "".join(rng.choice(_SYLLABLES, int(rng.integers(1, 4))))
        for _ in range(int(rng.integers(3, 9)))
    ]
    return " ".join(words) + str(rng.choice([".", "?", "!", ","]))


def _said(command: Sequence[str]) -> Float:
    if command[0] == "flite":
        command = (*command, "/dev/stdout")
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    # neither program knows the length when it writes the header of 44 bytes
    rate = int.from_bytes(done.stdout[24:28], "little")
    content = done.stdout[44:]
    samples = np.frombuffer(content[: len(content) // 2 * 2], "<i2").astype(np.float32) / 32768
    if rate != RATE:
        place = np.arange(int(len(samples) * RATE / rate)) * (rate / RATE)
        samples = np.interp(place, np.arange(len(samples)), samples).astype(np.float32)
    return np.asarray(samples, np.float32)
