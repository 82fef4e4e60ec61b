"""Test oracle: what a message may change at most, without the code under test."""

from __future__ import annotations

import json
from typing import Any

from agent.base.config import AgentConfig
from agent.base.errors import ConfigError
from agent.privacy.policy.rules import resolve
from agent.wall.remote_settings import Settings, apply
from tools.robustness.fuzz.cases import BASE, DEFAULTS, DESIRED, Case

_MAX_JUMP = 2**20
_DESIRED = {
    DESIRED: {"version", "own", "rejected", "patch"},
    DEFAULTS: {"defaults_version", "defaults", "defaults_rejected", "patch"},
}
_COMMAND = {
    f"{BASE}/cmd/pause": {"paused"},
    f"{BASE}/cmd/resume": {"paused"},
    f"{BASE}/cmd/content": {"content", "content_count"},
}


def may_change(case: Case, held: Settings) -> set[str]:
    """Fields of the settings; empty: not a byte."""
    if case.topic is None or len(case.payload) > 4096:
        return set()
    if case.topic in _COMMAND and not case.retain:
        given = _json(case.payload) if case.payload else {}
        if case.topic.endswith("content"):
            slot = given.get("slot") if isinstance(given, dict) else given
            fits = type(slot) is int and 0 <= slot <= 255
        else:
            fits = given == {}
        return _COMMAND[case.topic] if fits else set()
    if case.topic in _DESIRED:
        document = _json(case.payload)
        current = held.version if case.topic == DESIRED else held.defaults_version
        if (
            isinstance(document, dict)
            and type(document.get("version")) is int
            and isinstance(document.get("config"), dict)
            and current < document["version"] <= current + _MAX_JUMP
        ):
            return _DESIRED[case.topic]
    return set()


def problem(config: AgentConfig, before: Settings, after: Settings, may: set[str]) -> str | None:
    """What is wrong with a change, in words; None: nothing."""
    changed = {
        name for name in Settings.model_fields if getattr(before, name) != getattr(after, name)
    }
    if changed - may:
        return f"changed {', '.join(sorted(changed - may))}"
    if after.version < before.version or after.defaults_version < before.defaults_version:
        return "a version went back"
    try:
        policy = resolve(now := apply(config, after.patch), live=False)
    except ConfigError as error:
        return f"the policy forbids what is in force now: {error}"
    own = resolve(config, live=False)
    if (
        policy.k < own.k
        or policy.window < own.window
        or now.micro.enabled > config.micro.enabled
        or now.mqtt.discovery > config.mqtt.discovery
        or now.tracking.max_faces > config.tracking.max_faces
        or (now.detection.tiles or 0) > max(1, config.detection.tiles or 0)
    ):
        return f"what is in force now is weaker than the site's own file: {after.patch.values()}"
    return None


def _json(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None
