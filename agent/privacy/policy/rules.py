"""Built-in profiles, and the policy that results from a configuration.

A profile lists regions, places and the cells of a summary that may be published there, and limits
on k, epsilon and window; a profile file (`agent.privacy.policy.profile`) can make it stricter. A
weaker setting is refused, never clamped. Keys left out (`k`, `epsilon`, `window`) take the
profile's default. This is a technical safeguard, not legal advice.

Background: Regulation (EU) 2024/1689 (AI Act), Article 5(1)(f): inferring emotions of people in
workplaces and education institutions is prohibited, and consent does not change that;
Article 50(3): people exposed to emotion recognition are told so. Illinois (Biometric Information
Privacy Act, 740 ILCS 14), Texas (Business & Commerce Code 503.001) and Washington (RCW 19.375) ask
for consent, Illinois in writing, before a scan of a face's geometry is used.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import get_args

from agent.base.addresses import is_loopback
from agent.base.config import AgentConfig, Polygon
from agent.base.errors import ConfigError
from agent.base.vocabulary import AnyCell, Place, PolicyName, Region
from agent.privacy.policy import hearing, research
from agent.privacy.policy.polygon import check_polygons
from agent.privacy.policy.profile import SiteProfile, load_profile

_PRESENCE: tuple[AnyCell, ...] = ("visits", "passing", "attention", "dwell")
_EVERYTHING: tuple[AnyCell, ...] = (
    "visits", "passing", "expression", "valence", "arousal", "attention", "dwell", "micro",
)  # fmt: skip
INFERS_EMOTION: frozenset[AnyCell] = frozenset(
    {"expression", "valence", "arousal", "micro", "tone", "voice_valence", "voice_arousal",
     "room_tone", *hearing.TOGETHER}
)  # fmt: skip
"""Cells derived from expression or voice; where none may be published none is computed."""
_ANY_REGION: tuple[Region, ...] = get_args(Region)
_ANY_PLACE: tuple[Place, ...] = get_args(Place)

CONSENT_STATES = {"IL": "Illinois", "TX": "Texas", "WA": "Washington"}
"""States whose law requires consent before face geometry is used, by `SiteProfile.state`."""

WEIGHTS: dict[AnyCell, int] = {
    "visits": 20,
    "passing": 10,
    "expression": 30,
    "valence": 10,
    "arousal": 10,
    "attention": 10,
    "dwell": 10,
    "micro": 10,
    "tone": 10,
    "speech": 5,
    "voice_valence": 5,
    "voice_arousal": 5,
    "words": 10,
    "fused": 10,
    "channels": 3,
    "room_tone": 6,
    "room_words": 6,
}
"""Relative shares of epsilon; the published cells spend the whole."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Limits and defaults of one kind of use."""

    regions: tuple[Region, ...]
    places: tuple[Place, ...]
    cells: tuple[AnyCell, ...]
    """Without those of `hearing`."""
    min_k: int
    max_epsilon: float | None
    """None: no noise, and nothing may leave the machine."""
    min_window: int
    """Seconds."""
    k: int
    epsilon: float
    window: int
    notice: bool = False
    consent: bool = False
    slots: int = 8
    """Different content slots a day."""
    max_slots: int = 64
    admits_hearing: hearing.Admitted = "always"
    """Where microphone and words may be on."""


PROFILES: dict[PolicyName, Profile] = {
    "retail-eu": Profile(
        _ANY_REGION, ("retail",), _EVERYTHING,
        min_k=10, max_epsilon=1.0, min_window=300, k=10, epsilon=1.0, window=900, notice=True,
        admits_hearing="named",
    ),
    "retail-us-notice": Profile(
        ("us", "other"), ("retail",), _EVERYTHING,
        min_k=5, max_epsilon=2.0, min_window=300, k=10, epsilon=1.0, window=900, notice=True,
        admits_hearing="named",
    ),
    "research-consented": Profile(
        _ANY_REGION, ("laboratory", "education", "workplace", "clinic", "home", "retail"),
        _EVERYTHING,
        min_k=3, max_epsilon=4.0, min_window=60, k=5, epsilon=2.0, window=300, consent=True,
    ),
    "classroom": Profile(
        _ANY_REGION, _ANY_PLACE, _PRESENCE,
        min_k=10, max_epsilon=1.0, min_window=900, k=10, epsilon=1.0, window=900, notice=True,
        admits_hearing="never",
    ),
    "medical-safety": Profile(
        _ANY_REGION, ("clinic", "laboratory", "home"), _EVERYTHING,
        min_k=3, max_epsilon=2.0, min_window=300, k=5, epsilon=1.0, window=900, consent=True,
    ),
    "demo": Profile(
        _ANY_REGION, _ANY_PLACE, _EVERYTHING,
        min_k=1, max_epsilon=None, min_window=10, k=1, epsilon=1.0, window=10,
        slots=256, max_slots=256,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules in force: a profile with this device's settings. Built by `resolve`."""

    name: PolicyName
    region: Region
    place: Place
    cells: tuple[AnyCell, ...]
    """Cells that may be published; those of `hearing` last."""
    k: int
    epsilon_milli: int
    """Thousandths, per visit, all cells together; 0: no noise."""
    window: int
    """Seconds."""
    quiet_hours: tuple[str, ...] = ()
    """Of the configuration and of the profile file together."""
    zones: tuple[Polygon, ...] = ()
    """Staff zones, likewise."""
    profile: str | None = None
    """SHA-256 of the profile file, 64 hex digits; None without one."""
    slots: int = 8
    """Different content slots a day."""

    @property
    def infers_emotion(self) -> bool:
        """Whether any cell is in `INFERS_EMOTION`."""
        return bool(INFERS_EMOTION.intersection(self.cells))

    @property
    def hears(self) -> bool:
        """Whether the tone of voices is read."""
        return bool(set(hearing.VOICE).intersection(self.cells))

    @property
    def reads(self) -> bool:
        """Whether the sentiment of words is read."""
        return bool(set(hearing.WORDS).intersection(self.cells))

    @property
    def listens(self) -> bool:
        """Whether it does either, and so sends the second form of summaries."""
        return self.hears or self.reads

    @property
    def noised(self) -> bool:
        return self.epsilon_milli > 0

    @property
    def hash(self) -> str:
        """SHA-256 over the canonical JSON of every field, first 16 hex digits."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def epsilon(self, cell: AnyCell) -> Fraction:
        """This cell's exact share of epsilon; the shares of all cells add up to the whole."""
        total = sum(WEIGHTS[each] for each in self.cells)
        return Fraction(self.epsilon_milli * WEIGHTS[cell], 1000 * total)


def resolve(config: AgentConfig, live: bool = True) -> Policy:
    """The policy of a configuration. `live`: False for recorded video, for which notice and consent
    were due when it was recorded. Raises `ConfigError` where the configuration is not permitted."""
    asked, device = config.privacy, config.device
    loaded = load_profile(asked)
    site, digest = loaded or (None, None)
    profile = PROFILES[asked.policy]
    hearing.refuse_unless_admitted(config, profile.admits_hearing)
    profile = replace(profile, cells=profile.cells + hearing.cells_of(hearing.switched_on(config)))
    if site is not None:
        profile = _tightened(profile, site, f"The profile {asked.profile}")
    check_polygons(asked.staff_zones, "privacy.staff_zones")
    _refuse_forbidden(config, profile)
    hearing.refuse_if_left_out(config, profile.cells)
    research.refuse_unless_admitted(config, profile.cells)
    if live:
        _refuse_missing_duties(config, profile, site)
    k = profile.k if asked.k is None else asked.k
    epsilon = profile.epsilon if asked.epsilon is None else asked.epsilon
    window = asked.window or profile.window
    slots = config.content.slots or profile.slots
    _refuse_weaker(asked.policy, profile, k, epsilon, window, slots)
    if profile.max_epsilon is None:
        _refuse_remote_broker(config)
    # Published in hundredths; rounding down can only add noise.
    milli = 0 if profile.max_epsilon is None else 10 * max(1, int(epsilon * 100 + 1e-6))
    return Policy(
        asked.policy,
        device.region,
        device.place,
        profile.cells,
        k,
        milli,
        window,
        tuple(dict.fromkeys(asked.quiet_hours + (site.quiet_hours if site else ()))),
        asked.staff_zones + (site.staff_zones if site else ()),
        digest,
        slots,
    )


def _tightened(base: Profile, site: SiteProfile, name: str) -> Profile:
    """A built-in profile tightened by a profile file. Raises `ConfigError` where that weakens
    it."""
    problems = []
    for key, asked, most in (
        ("regions", site.regions, base.regions),
        ("places", site.places, base.places),
        ("cells", site.cells, base.cells),
    ):
        beyond = sorted(set(asked or ()).difference(most))
        if beyond:
            problems.append(f"{key} adds {', '.join(beyond)} to the policy's {', '.join(most)}")
    if site.min_k is not None and site.min_k < base.min_k:
        problems.append(f"min_k is {site.min_k}, the policy's is {base.min_k}")
    if site.min_window is not None and site.min_window < base.min_window:
        problems.append(f"min_window is {site.min_window} s, the policy's is {base.min_window} s")
    if site.max_epsilon is not None:
        if base.max_epsilon is None:
            problems.append("max_epsilon is set, but this policy adds no noise")
        elif site.max_epsilon > base.max_epsilon:
            problems.append(
                f"max_epsilon is {site.max_epsilon:g}, the policy's is {base.max_epsilon:g}"
            )
    if problems:
        raise ConfigError(
            f"{name} is weaker than {site.extends}, which it extends: {'; '.join(problems)}. "
            "A profile file can only make its policy stricter; correct or remove these keys."
        )
    wanted = {"visits", *(site.cells or base.cells)}
    ceiling = base.max_epsilon if site.max_epsilon is None else site.max_epsilon
    return replace(
        base,
        regions=site.regions or base.regions,
        places=site.places or base.places,
        cells=tuple(cell for cell in base.cells if cell in wanted),
        min_k=site.min_k or base.min_k,
        max_epsilon=ceiling,
        min_window=site.min_window or base.min_window,
        k=max(base.k, site.min_k or 0),
        epsilon=base.epsilon if ceiling is None else min(base.epsilon, ceiling),
        window=max(base.window, site.min_window or 0),
    )


def _refuse_forbidden(config: AgentConfig, profile: Profile) -> None:
    device, name = config.device, config.privacy.policy
    emotion = sorted(INFERS_EMOTION.intersection(profile.cells))
    if device.region == "eu" and device.place in ("workplace", "education") and emotion:
        raise ConfigError(
            f"Policy {name} infers {', '.join(emotion)}, and device.place is {device.place} in "
            "the EU: the AI Act, Article 5(1)(f), prohibits inferring emotions there, consent or "
            'not. Set privacy.policy = "classroom": it counts visits and attention only.'
        )
    hearing.refuse_at_work_or_school(config, profile.cells)
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


def _refuse_missing_duties(config: AgentConfig, profile: Profile, site: SiteProfile | None) -> None:
    asked = config.privacy
    if profile.notice and not asked.notice_shown:
        raise ConfigError(
            f"Policy {asked.policy} needs a notice where people enter the camera's view. Put it "
            "up, then set privacy.notice_shown = true."
        )
    hearing.refuse_unnamed(config, profile.admits_hearing)
    if profile.consent and not asked.consent:
        raise ConfigError(
            f"Policy {asked.policy} needs the consent of everyone in view. Obtain it, then set "
            "privacy.consent = true."
        )
    if asked.policy == "retail-us-notice" and config.device.region == "us" and not asked.consent:
        _refuse_where_consent_is_law(site.state if site else None)


def _refuse_where_consent_is_law(state: str | None) -> None:
    """A notice is not enough in `CONSENT_STATES`; an unknown state may be one of them."""
    if state is None:
        raise ConfigError(
            "Policy retail-us-notice rests on a notice, which is not enough in "
            f"{', '.join(CONSENT_STATES.values())}, and this box does not know its state. Say it "
            'in a profile file (privacy.profile), such as state = "OR"; or obtain the consent of '
            "everyone in view, then set privacy.consent = true."
        )
    if state in CONSENT_STATES:
        raise ConfigError(
            f"Policy retail-us-notice rests on a notice, but {CONSENT_STATES[state]} asks for "
            "consent before face geometry is used (in Illinois in writing). Obtain it from "
            "everyone in view, then set privacy.consent = true."
        )


def _refuse_weaker(
    name: str, profile: Profile, k: int, epsilon: float, window: int, slots: int
) -> None:
    problems = []
    if k < profile.min_k:
        problems.append(f"privacy.k is {k}, at least {profile.min_k} is needed")
    if profile.max_epsilon is not None and epsilon > profile.max_epsilon:
        problems.append(f"privacy.epsilon is {epsilon:g}, {profile.max_epsilon:g} is the most")
    if window < profile.min_window:
        problems.append(f"privacy.window is {window} s, at least {profile.min_window} s is needed")
    if slots > profile.max_slots:
        problems.append(f"content.slots is {slots}, {profile.max_slots} is the most")
    if problems:
        raise ConfigError(
            f"Policy {name} refuses weaker settings: {'; '.join(problems)}. "
            "Make them stricter, or leave them out to get the policy's own."
        )


def _refuse_remote_broker(config: AgentConfig) -> None:
    host = config.mqtt.host
    if not is_loopback(host):
        raise ConfigError(
            f"Policy {config.privacy.policy} adds no noise, so its summaries may not leave this "
            f'machine, but mqtt.host is {host}. Set mqtt.host = "127.0.0.1" or choose another '
            "policy."
        )
