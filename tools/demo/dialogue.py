"""What the clip's visitors say and write, and in which tone: planted, so that readings can be
compared with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from agent.base.types import Float
from tools.demo.voice import MANNERS, RATE, Voice, seconds, speak


@dataclass(frozen=True, slots=True)
class Spoken:
    """A stretch of speech."""

    start: float
    """Seconds of the clip."""
    tone: str
    """Of `MANNERS`."""
    belongs: Literal["visit", "room"]
    """A visit's where one face is in view, else the room's."""
    voice: Voice
    phones: str
    """ARPAbet."""

    @property
    def end(self) -> float:
        return self.start + seconds(self.phones, self.voice, MANNERS[self.tone])


@dataclass(frozen=True, slots=True)
class Written:
    """A line of the chat."""

    time: float
    line: str
    sentiment: str


_FIRST, _SECOND = Voice(185.0, 1.16), Voice(200.0, 1.18)
_THIRD, _FOURTH = Voice(178.0, 1.14), Voice(192.0, 1.17)

SPEECH = (
    Spoken(  # Here we are, look at that, I love it, how lovely, I know the way.
        4.5, "happy", "visit", _FIRST,
        "HH IY R W IY AA1 R , L UH1 K AE T DH AE T , AY L AH1 V IH T , HH AW L AH1 V L IY , "
        "AY N OW DH AH W EY1",
    ),
    Spoken(  # We are all here now, how lovely, I know the way, let us go in.
        13.4, "happy", "room", _SECOND,
        "W IY R AO1 L HH IY R N AW1 , HH AW L AH1 V L IY , AY N OW DH AH W EY1 , "
        "L EH1 T AH S G OW1 IH N",
    ),
    Spoken(  # I will be on the road again, at nine, with all of my men.
        19.5, "neutral", "visit", _SECOND,
        "AY W IH1 L B IY AA N DH AH R OW1 D AH G EH1 N , AE T N AY1 N , "
        "W IH DH AO1 L AH V M AY M EH1 N",
    ),
    Spoken(  # It did not come back, I waited for it all day.
        29.3, "sad", "visit", _THIRD,
        "IH T D IH D N AA1 T K AH M B AE1 K , AY W EY1 T IH D F AO R IH T AO L D EY1",
    ),
    Spoken(  # Stop it, that is the third time, take it back at once.
        42.5, "angry", "visit", _FOURTH,
        "S T AA1 P IH T , DH AE T IH Z DH AH TH ER1 D T AY1 M , "
        "T EY1 K IH T B AE1 K AE T W AH1 N S",
    ),
)  # fmt: skip
WRITTEN = (
    Written(8.8, "Thank you, that was quick and very friendly!", "positive"),
    Written(41.0, "This is terrible, it does not work and nobody helps.", "negative"),
)


def sound(duration: float, seed: int = 14) -> Float:
    """float32[duration * RATE]: all that is said, without the room."""
    out = np.zeros(round(duration * RATE), np.float32)
    for index, each in enumerate(SPEECH):
        said = speak(each.phones, each.voice, MANNERS[each.tone], seed + index)
        start = round(each.start * RATE)
        out[start : start + len(said)] += said
    return out


def truth() -> dict[str, Any]:
    """The part of `clip.json` about voice and words."""
    return {
        "speech": [
            {
                "start": each.start,
                "end": round(each.end, 2),
                "tone": each.tone,
                "belongs": each.belongs,
            }
            for each in SPEECH
        ],
        "words": [
            {"time": each.time, "line": each.line, "sentiment": each.sentiment} for each in WRITTEN
        ],
    }
