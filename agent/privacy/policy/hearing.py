"""Microphone and words: which policies admit them, and what they add to a summary.

Off unless a site switches them on. Tone of voice is emotion inferred from biometric data as the
face's expression is, and is refused where that is (Regulation (EU) 2024/1689, Article 5(1)(f) with
Article 3(39)). Text is not biometric, as the Commission's guidelines on prohibited practices (2025)
say too; in workplaces and schools of the EU it stays off all the same. Not legal advice.
"""

from __future__ import annotations

import json
from typing import Literal, get_args

from agent.base.config import AgentConfig
from agent.base.errors import ConfigError
from agent.base.vocabulary import AnyCell, Cell, HeardCell, PolicyName

Admitted = Literal["never", "named", "always"]
"""`named`: where the notice on site names it."""
Channel = Literal["microphone", "words"]

VOICE: tuple[AnyCell, ...] = ("tone", "speech", "voice_valence", "voice_arousal", "room_tone")
WORDS: tuple[AnyCell, ...] = ("words", "room_words")
TOGETHER: tuple[AnyCell, ...] = ("fused", "channels")
"""Where either channel is on."""
HEARING: frozenset[AnyCell] = frozenset((*VOICE, *WORDS, *TOGETHER))

DEFAULT_ON: frozenset[PolicyName] = frozenset({"demo", "research-consented"})
"""Policies under which both are on unless a site switches them off."""


def switched_on(config: AgentConfig) -> tuple[Channel, ...]:
    """What a configuration asks for."""
    default = config.privacy.policy in DEFAULT_ON
    asked: dict[Channel, bool | None] = {
        "microphone": config.privacy.microphone,
        "words": config.privacy.words,
    }
    return tuple(channel for channel, on in asked.items() if (default if on is None else on))


def cells_of(channels: tuple[Channel, ...]) -> tuple[AnyCell, ...]:
    """What channels add to a summary, in the order of its fields."""
    if not channels:
        return ()
    added = {*TOGETHER, *(VOICE if "microphone" in channels else ()),
             *(WORDS if "words" in channels else ())}  # fmt: skip
    return tuple(cell for cell in (*get_args(Cell), *get_args(HeardCell)) if cell in added)


def refuse_unless_admitted(config: AgentConfig, admitted: Admitted) -> None:
    """Raises `ConfigError` where a policy never admits what the configuration asks for."""
    asked = switched_on(config)
    if asked and admitted == "never":
        raise ConfigError(
            f"Policy {config.privacy.policy} never admits {_keys(asked)}. Set "
            f"{'it' if len(asked) == 1 else 'them'} to false, or choose another policy."
        )


def refuse_at_work_or_school(config: AgentConfig, cells: tuple[AnyCell, ...]) -> None:
    """Raises `ConfigError` in workplaces and schools of the EU. `cells`: that would be published;
    those that infer emotion were refused before."""
    device, asked = config.device, _demanded(config)
    if (
        device.region == "eu"
        and device.place in ("workplace", "education")
        and (asked or HEARING.intersection(cells))
    ):
        raise ConfigError(
            f"{_keys(asked or switched_on(config))} cannot be on where device.place is "
            f"{device.place} in the EU. Tone of voice infers emotion from biometric data, which "
            "the AI Act, Article 5(1)(f), prohibits there; words are not biometric, but stay off "
            "there too. Set both to false."
        )


def refuse_if_left_out(config: AgentConfig, cells: tuple[AnyCell, ...]) -> None:
    """Raises `ConfigError` where the profile file leaves nothing of what the site's configuration
    switches on: one of the two is a mistake."""
    for channel in _demanded(config):
        of = VOICE if channel == "microphone" else WORDS
        if not set(of).intersection(cells):
            raise ConfigError(
                f"privacy.{channel} is true, but the profile {config.privacy.profile} leaves none "
                f"of its cells ({', '.join(of)}). Set it to false, or name them in the profile."
            )


def refuse_unnamed(config: AgentConfig, admitted: Admitted) -> None:
    """Raises `ConfigError` where the notice has to name a channel and nobody confirms that."""
    missing = tuple(
        channel for channel in switched_on(config) if channel not in config.privacy.notice_names
    )
    if missing and admitted == "named":
        raise ConfigError(
            f"Policy {config.privacy.policy} admits {_keys(missing)} only with a notice that names "
            "it. Print the sign anew with `fleeting notice` and put it up, then set "
            f"privacy.notice_names = {json.dumps(switched_on(config))}."
        )


def _demanded(config: AgentConfig) -> tuple[Channel, ...]:
    """What the site itself switches on."""
    return tuple(each for each in get_args(Channel) if getattr(config.privacy, each))


def _keys(channels: tuple[Channel, ...]) -> str:
    return " and ".join(f"privacy.{channel}" for channel in channels)
