"""Second forms of messages, of a site that switches microphone or words on: summaries with what
voices and words said, and settings that a fleet may switch off.

Where both are off the first forms are sent, byte for byte. The other fields are the same.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from agent.base.report.base import ClosedModel
from agent.base.report.device import RemoteSettings, Reported
from agent.base.report.summary import ClippedSum, Count, Summary, ToneCounts
from agent.base.vocabulary import SoundFlag


class VisitTones(ToneCounts):
    """Visits by the dominant tone of what they said; of those that were heard alone in view."""


class SpeechCounts(ClosedModel):
    """Visits by seconds of speech. Somebody is heard only while nobody else is in view."""

    none: Count
    under_5: Count
    from_5_to_15: Count
    over_15: Count


class SentimentCounts(ClosedModel):
    """Visits by dominant sentiment; in `room_words` stretches of time by that of their words."""

    negative: Count
    neutral: Count
    positive: Count
    unsure: Count


class ChannelCounts(ClosedModel):
    """Visits in whose fused class each channel took part."""

    face: Count
    voice: Count
    words: Count


def _flags_once(flags: tuple[SoundFlag, ...]) -> tuple[SoundFlag, ...]:
    if list(flags) != [flag for flag in get_args(SoundFlag) if flag in flags]:
        raise ValueError("flags stand once each, in declared order")
    return flags


class Heard(ClosedModel):
    """What voices and words said. A cell that is null although its channel says `published` is left
    out by the policy.

    What belongs to no single visit is the room's: there each stretch of 20 seconds in which
    somebody spoke (or wrote) counts once at most. Noise hides what is said in a minute.
    """

    voice: Literal["published", "below_k", "no_microphone", "policy"]
    """Whether there are numbers of voices, or why not."""
    text: Literal["published", "below_k", "policy"]
    """The same of words."""
    speech: SpeechCounts | None
    voice_valence: ClippedSum | None
    voice_arousal: ClippedSum | None
    words: SentimentCounts | None
    fused: SentimentCounts | None
    """Of face, voice and words together, as far as they took part."""
    channels: ChannelCounts | None
    room_tone: ToneCounts | None
    room_words: SentimentCounts | None
    flags: Annotated[
        tuple[SoundFlag, ...],
        Field(max_length=len(get_args(SoundFlag)), json_schema_extra={"uniqueItems": True}),
        AfterValidator(_flags_once),
    ]
    """Problems of the window's sound. Where noise is added only those that a voice cannot cause."""

    @model_validator(mode="after")
    def _nothing_unsaid(self) -> Heard:
        voice = (self.speech, self.voice_valence, self.voice_arousal, self.room_tone)
        words = (self.words, self.room_words)
        if self.voice != "published" and any(cell is not None for cell in voice):
            raise ValueError("numbers of voices where there are none")
        if self.text != "published" and any(cell is not None for cell in words):
            raise ValueError("numbers of words where there are none")
        if {self.voice, self.text} & {"below_k"} and (self.fused or self.channels):
            raise ValueError("numbers of a window that is withheld")
        return self


class HeardSummary(Summary):
    """One tumbling window of one content slot, with voices and words. Only `privacy.release` builds
    it."""

    v: Literal[2] = 2  # type: ignore[assignment]
    tone: VisitTones | None
    heard: Heard


class HeardSettings(RemoteSettings):
    """What a fleet may change, as it is in force."""

    class Privacy(RemoteSettings.Privacy):
        microphone: bool
        words: bool

    privacy: Privacy


class HeardReported(Reported):
    """The settings in force, retained: the other half of the shadow."""

    v: Literal[2] = 2  # type: ignore[assignment]
    config: HeardSettings


def is_second_form(body: bytes) -> bool:
    """Whether a message's canonical JSON claims to be of a second form."""
    return body.startswith(b'{"v":2,')


def summary_form(body: bytes) -> type[Summary]:
    """The form that a summary's canonical JSON claims to have."""
    return HeardSummary if is_second_form(body) else Summary
