"""What remote settings may change: the site's own file decides how much the device may see and say,
and a fleet can only lower it.

The site's value is that of its configuration, or, where it leaves a key out, the default of its
policy, profile file included. Both processes apply the rules: the uplink before it stores a wish,
the perceive process again to what it reads from the settings file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.base.config import AgentConfig
from agent.privacy.policy.rules import resolve


def _at_least(site: int, wished: int) -> bool:
    return wished >= site


def _at_most(site: int, wished: int) -> bool:
    return wished <= site


def _tiles(site: int | None, wished: int) -> bool:
    # 0 and 1 both look at the whole picture only; what null stands for depends on the picture.
    return wished <= max(1, site or 0)


STRICTER: dict[str, Callable[[Any, Any], bool]] = {
    "detection.tiles": _tiles,
    "micro.enabled": _at_most,
    "mqtt.discovery": _at_most,
    "privacy.k": _at_least,
    "privacy.microphone": _at_most,
    "privacy.window": _at_least,
    "privacy.words": _at_most,
    "tracking.max_faces": _at_most,
}
"""Whether a wished value lets the device see and say no more than the site's value, by path."""


def site_values(config: AgentConfig) -> dict[str, Any]:
    """The site's value of each remote setting, by path. Raises `ConfigError` where the
    configuration is not permitted."""
    policy = resolve(config, live=False)
    return {
        "detection.tiles": config.detection.tiles,
        "micro.enabled": config.micro.enabled,
        "mqtt.discovery": config.mqtt.discovery,
        "privacy.k": policy.k,
        "privacy.microphone": policy.hears,
        "privacy.window": policy.window,
        "privacy.words": policy.reads,
        "tracking.max_faces": config.tracking.max_faces,
    }


def weaker_than_site(config: AgentConfig, wished: Mapping[str, Any]) -> frozenset[str]:
    """The paths in `wished` (values by path) that would let the device see or say more than
    `config`, the site's own, allows. Raises `ConfigError` as `site_values`."""
    site = site_values(config)
    return frozenset(
        path
        for path, value in wished.items()
        if path not in STRICTER or not STRICTER[path](site[path], value)
    )
