"""What a place may infer and how coarse its answers must be: one profile per kind of use.

A profile binds region and place to the cells of a summary and sets floors. A setting that is
weaker than its floor is refused, never bent. Keys that a person left out (`k`, `epsilon`,
`window`) take the profile's own default. This is a technical safeguard, not legal advice.

Background: Regulation (EU) 2024/1689 (AI Act), Article 5(1)(f): inferring emotions of people in
workplaces and education institutions is prohibited, and consent does not change that;
Article 50(3): people exposed to emotion recognition are told so.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Literal

from agent.config import AgentConfig
from agent.errors import ConfigError
from agent.report import Cell, PolicyName

Region = Literal["eu", "us", "other"]
Place = Literal["retail", "workplace", "education", "laboratory", "clinic", "home"]

_PRESENCE: tuple[Cell, ...] = ("visits", "attention", "dwell")
_EVERYTHING: tuple[Cell, ...] = (
    "visits", "expression", "valence", "arousal", "attention", "dwell", "micro",
)  # fmt: skip
INFERS_EMOTION: frozenset[Cell] = frozenset({"expression", "valence", "arousal", "micro", "tone"})
"""Cells that say how people look or sound; where none may be published none is computed."""
_ANY_REGION: tuple[Region, ...] = ("eu", "us", "other")
_ANY_PLACE: tuple[Place, ...] = (
    "retail", "workplace", "education", "laboratory", "clinic", "home",
)  # fmt: skip

WEIGHTS: dict[Cell, int] = {
    "visits": 20,
    "expression": 30,
    "valence": 10,
    "arousal": 10,
    "attention": 10,
    "dwell": 10,
    "micro": 10,
}
"""Shares of the budget; a profile that publishes fewer cells spends the whole on those."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Floors and defaults of one kind of use."""

    regions: tuple[Region, ...]
    places: tuple[Place, ...]
    cells: tuple[Cell, ...]
    min_k: int
    max_epsilon: float | None
    """None: nothing is noised, and nothing may leave the machine."""
    min_window: int
    """Seconds."""
    k: int
    epsilon: float
    window: int
    notice: bool = False
    consent: bool = False


PROFILES: dict[PolicyName, Profile] = {
    "retail-eu": Profile(
        _ANY_REGION, ("retail",), _EVERYTHING,
        min_k=10, max_epsilon=1.0, min_window=300, k=10, epsilon=1.0, window=900, notice=True,
    ),
    "retail-us-notice": Profile(
        ("us", "other"), ("retail",), _EVERYTHING,
        min_k=5, max_epsilon=2.0, min_window=300, k=10, epsilon=1.0, window=900, notice=True,
    ),
    "research-consented": Profile(
        _ANY_REGION, ("laboratory", "education", "workplace", "clinic", "home", "retail"),
        _EVERYTHING,
        min_k=3, max_epsilon=4.0, min_window=60, k=5, epsilon=2.0, window=300, consent=True,
    ),
    "classroom": Profile(
        _ANY_REGION, _ANY_PLACE, _PRESENCE,
        min_k=10, max_epsilon=1.0, min_window=900, k=10, epsilon=1.0, window=900, notice=True,
    ),
    "medical-safety": Profile(
        _ANY_REGION, ("clinic", "laboratory", "home"), _EVERYTHING,
        min_k=3, max_epsilon=2.0, min_window=300, k=5, epsilon=1.0, window=900, consent=True,
    ),
    "demo": Profile(
        _ANY_REGION, _ANY_PLACE, _EVERYTHING,
        min_k=1, max_epsilon=None, min_window=10, k=1, epsilon=1.0, window=10,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules in force: one profile with this box's settings. Built by `resolve`."""

    name: PolicyName
    region: Region
    place: Place
    cells: tuple[Cell, ...]
    """What may be published, in the order of `report.Cell`."""
    k: int
    epsilon_milli: int
    """Thousandths, per visit, all cells together; 0: no noise."""
    window: int
    """Seconds."""

    @property
    def noised(self) -> bool:
        return self.epsilon_milli > 0

    @property
    def hash(self) -> str:
        """SHA-256 over the canonical JSON of every field, first 16 hex digits."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def epsilon(self, cell: Cell) -> Fraction:
        """This cell's exact part of the budget; the parts of all cells add up to the whole."""
        total = sum(WEIGHTS[each] for each in self.cells)
        return Fraction(self.epsilon_milli * WEIGHTS[cell], 1000 * total)


def resolve(config: AgentConfig, live: bool = True) -> Policy:
    """The policy that `config` asks for, or the reason why it must not run.

    `live` is False for recorded video: the duties towards people in front of a camera (notice,
    consent) were those of whoever recorded it. All other rules hold for files too.

    Raises `ConfigError`.
    """
    asked, device = config.privacy, config.device
    profile = PROFILES[asked.policy]
    _refuse_forbidden(config, profile)
    if live:
        _refuse_missing_duties(config, profile)
    k = profile.k if asked.k is None else asked.k
    epsilon = profile.epsilon if asked.epsilon is None else asked.epsilon
    window = asked.window or profile.window
    _refuse_weaker(asked.policy, profile, k, epsilon, window)
    if profile.max_epsilon is None:
        _refuse_remote_broker(config)
    milli = 0 if profile.max_epsilon is None else max(1, int(epsilon * 1000 + 1e-6))
    return Policy(asked.policy, device.region, device.place, profile.cells, k, milli, window)


def _refuse_forbidden(config: AgentConfig, profile: Profile) -> None:
    device, name = config.device, config.privacy.policy
    emotion = sorted(INFERS_EMOTION.intersection(profile.cells))
    if device.region == "eu" and device.place in ("workplace", "education") and emotion:
        raise ConfigError(
            f"Policy {name} infers {', '.join(emotion)}, and device.place is {device.place} in "
            "the EU: the AI Act, Article 5(1)(f), prohibits inferring emotions there, consent or "
            'not. Set privacy.policy = "classroom": it counts visits and attention only.'
        )
    if device.region not in profile.regions:
        raise ConfigError(
            f"Policy {name} is not made for device.region = {device.region}; it is for "
            f"{', '.join(profile.regions)}. Choose a policy for this region."
        )
    if device.place not in profile.places:
        raise ConfigError(
            f"Policy {name} is not made for device.place = {device.place}; it is for "
            f"{', '.join(profile.places)}. Choose a policy for this place."
        )


def _refuse_missing_duties(config: AgentConfig, profile: Profile) -> None:
    asked = config.privacy
    if profile.notice and not asked.notice_shown:
        raise ConfigError(
            f"Policy {asked.policy} needs a notice where people enter the camera's view. Put it "
            "up, then set privacy.notice_shown = true."
        )
    if profile.consent and not asked.consent:
        raise ConfigError(
            f"Policy {asked.policy} needs the consent of everyone in view. Obtain it, then set "
            "privacy.consent = true."
        )


def _refuse_weaker(name: str, profile: Profile, k: int, epsilon: float, window: int) -> None:
    problems = []
    if k < profile.min_k:
        problems.append(f"privacy.k is {k}, at least {profile.min_k} is needed")
    if profile.max_epsilon is not None and epsilon > profile.max_epsilon:
        problems.append(f"privacy.epsilon is {epsilon:g}, {profile.max_epsilon:g} is the most")
    if window < profile.min_window:
        problems.append(f"privacy.window is {window} s, at least {profile.min_window} s is needed")
    if problems:
        raise ConfigError(
            f"Policy {name} refuses weaker settings: {'; '.join(problems)}. "
            "Raise them, or leave them out to get the policy's own."
        )


def _refuse_remote_broker(config: AgentConfig) -> None:
    host = config.mqtt.host
    if not _is_loopback(host):
        raise ConfigError(
            f"Policy {config.privacy.policy} adds no noise, so its summaries may not leave this "
            f'machine, but mqtt.host is {host}. Set mqtt.host = "127.0.0.1" or choose another '
            "policy."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
