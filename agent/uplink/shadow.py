"""What a fleet wishes of a device: taken apart, checked path by path, never bent.

A document is `{"version": int, "config": {section: {key: value}}}` and is whole: what it leaves out
is no longer wished. The device's own document wins over its group's key by key; the two are
numbered apart. What is refused is named by its path, or as `other` where it is no path of ours:
the network must not be able to put words into our mouth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

from agent.base.config import AgentConfig
from agent.base.errors import ConfigError
from agent.base.report import Rejected, RemoteSettings
from agent.base.report.device import Refusal, RemotePath, Version
from agent.base.vocabulary import WindowLength
from agent.privacy.policy.rules import resolve
from agent.uplink.strict_json import MalformedError
from agent.wall import remote_settings
from agent.wall.remote_settings import Patch

Place = RemotePath | str
Refused = dict[Place, Refusal]
"""Why a path, or `other`, was refused."""

PATHS: tuple[RemotePath, ...] = get_args(RemotePath)
_OTHER = "other"
_VERSION: TypeAdapter[int] = TypeAdapter(Version)


@dataclass(frozen=True, slots=True)
class DesiredState:
    """One document of the fleet."""

    version: int
    patch: Patch
    """The wishes whose path and type are right; the policy has not been asked yet."""
    refused: Refused


def read(document: Any) -> DesiredState:
    """Raises `MalformedError` where it is no such document at all."""
    if not isinstance(document, dict) or not isinstance(document.get("config"), dict):
        raise MalformedError("not a wish")
    try:
        version = _VERSION.validate_python(document.get("version"), strict=True)
    except ValidationError:
        raise MalformedError("a wish without a version") from None
    if version == 0:
        raise MalformedError("versions begin at 1")
    patch, refused = _sort(document["config"])
    if set(document) != {"version", "config"}:
        refused.setdefault(_OTHER, "unknown_key")
    return DesiredState(version, patch, refused)


def settle(config: AgentConfig, own: Patch, defaults: Patch) -> tuple[Patch, Refused]:
    """What is in force: each path as the device's own document or else the group's wishes it, if
    the policy allows it; with the paths that the policy refuses."""
    chosen: dict[RemotePath, Any] = {}
    refused: Refused = {}
    wishes = [_values(own), _values(defaults)]
    for path in PATHS:
        for value in (each[path] for each in wishes if path in each):
            try:
                resolve(remote_settings.apply(config, _patch(chosen | {path: value})), live=False)
            except ConfigError:
                refused[path] = "weaker_than_policy"
                continue
            chosen[path] = value
            break
    return _patch(chosen), refused


def in_force(config: AgentConfig) -> RemoteSettings:
    """The remote part of a whole configuration. Raises `ConfigError`."""
    policy = resolve(config, live=False)
    return RemoteSettings(
        detection=RemoteSettings.Detection(tiles=config.detection.tiles),
        micro=RemoteSettings.Micro(enabled=config.micro.enabled),
        mqtt=RemoteSettings.Mqtt(discovery=config.mqtt.discovery),
        privacy=RemoteSettings.Privacy(k=policy.k, window=cast(WindowLength, policy.window)),
        tracking=RemoteSettings.Tracking(max_faces=config.tracking.max_faces),
    )


def rejections(*refused: Mapping[Place, Refusal]) -> tuple[Rejected, ...]:
    """One entry for each path, in declared order; the first word on it counts."""
    joined: Refused = {}
    for each in refused:
        joined = {**each, **joined}
    return tuple(
        Rejected(path=place, reason=joined[place])  # type: ignore[arg-type]
        for place in (*PATHS, _OTHER)
        if place in joined
    )


def _sort(config: dict[str, Any]) -> tuple[Patch, Refused]:
    """The wishes that can be read, and the others with a reason."""
    good: dict[RemotePath, Any] = {}
    refused: Refused = {}
    for name, section in config.items():
        known = AgentConfig.model_fields.get(name)
        if known is None:
            refused.setdefault(_OTHER, "unknown_key")
        elif not (isinstance(known.annotation, type) and issubclass(known.annotation, BaseModel)):
            refused.setdefault(_OTHER, "not_remote")
        elif not isinstance(section, dict):
            refused.setdefault(_OTHER, "wrong_value")
        else:
            for key, value in section.items():
                path = f"{name}.{key}"
                if path in PATHS:
                    if _fits(path, value):
                        good[path] = value
                    else:
                        refused[path] = "wrong_value"
                else:
                    is_ours = key in known.annotation.model_fields
                    refused.setdefault(_OTHER, "not_remote" if is_ours else "unknown_key")
    return _patch(good), refused


def _fits(path: RemotePath, value: Any) -> bool:
    """Null is no wish; numbers are numbers of their kind: true is not 1, nor is 1.0."""
    if type(value) not in (int, bool):
        return False
    try:
        return _values(_patch({path: value})) == {path: value}
    except ValidationError:
        return False


def _patch(values: Mapping[RemotePath, Any]) -> Patch:
    sections: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        name, _, key = path.partition(".")
        sections.setdefault(name, {})[key] = value
    return Patch.model_validate(sections)


def _values(patch: Patch) -> dict[RemotePath, Any]:
    return {
        cast(RemotePath, f"{name}.{key}"): value
        for name, section in patch.model_dump(exclude_none=True).items()
        for key, value in section.items()
    }
