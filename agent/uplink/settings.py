"""Remote settings: what a fleet desires of this device, checked path by path, never bent; and the
settings file, through which alone the network can change anything here.

A document is `{"version": int, "config": {section: {key: value}}}` and is whole: what it leaves out
is no longer desired. The device's own document wins over its group's key by key; the two are
numbered apart. What is refused is named by its path, or as `other` where it is no path of ours:
the network must not be able to put words into our mouth. A change is first on disk, then in force;
what is refused changes nothing, not even the file's time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

from agent.base.config import AgentConfig, remote_fields
from agent.base.errors import ConfigError, StoreError
from agent.base.report import EventCode, Rejected, RemoteSettings, Reported
from agent.base.report.device import Refusal, Version
from agent.privacy.policy.rules import resolve
from agent.uplink.strict_json import MalformedError
from agent.wall import remote_settings
from agent.wall.remote_settings import Patch, Settings, nested

log = logging.getLogger(__name__)

Refused = dict[str, Refusal]
"""Why a path, or `other`, was refused."""
Origin = Literal["own", "defaults"]
"""Whose document: the device's own, or its group's."""

PATHS = tuple(remote_fields())
_OTHER = "other"
_VERSION: TypeAdapter[int] = TypeAdapter(Version)
_CHECK_INTERVAL = 60.0
"""Seconds between looks whether the file is still what we wrote."""
_RETRY_INTERVAL = 5.0


@dataclass(frozen=True, slots=True)
class DesiredState:
    """One document of the fleet."""

    version: int
    patch: Patch
    """The values whose path and type are right; the policy has not been asked yet."""
    refused: Refused


def parse_desired(document: Any) -> DesiredState:
    """Raises `MalformedError` where it is no such document at all."""
    if not isinstance(document, dict) or not isinstance(document.get("config"), dict):
        raise MalformedError("not a desired state")
    try:
        version = _VERSION.validate_python(document.get("version"), strict=True)
    except ValidationError:
        raise MalformedError("a desired state without a version") from None
    if version == 0:
        raise MalformedError("versions begin at 1")
    patch, refused = _validate_paths(document["config"])
    if set(document) != {"version", "config"}:
        refused.setdefault(_OTHER, "unknown_key")
    return DesiredState(version, patch, refused)


def resolve_desired(config: AgentConfig, own: Patch, defaults: Patch) -> tuple[Patch, Refused]:
    """What is in force: each path as the device's own document or else the group's desires it, if
    the policy allows it; with the paths that the policy refuses."""
    chosen: dict[str, Any] = {}
    refused: Refused = {}
    desired = [own.values(), defaults.values()]
    for path in PATHS:
        for value in (each[path] for each in desired if path in each):
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
    values = {path: getattr(getattr(config, path.split(".")[0]), path.split(".")[1])
              for path in PATHS}  # fmt: skip
    values |= {"privacy.k": policy.k, "privacy.window": policy.window}
    return RemoteSettings.model_validate(nested(values))


def rejections(*refused: Mapping[str, Refusal]) -> tuple[Rejected, ...]:
    """One entry for each path, in declared order; the first refusal of it counts."""
    joined: Refused = {}
    for each in refused:
        joined = {**each, **joined}
    return tuple(
        Rejected(path=path, reason=joined[path])  # type: ignore[arg-type]
        for path in (*PATHS, _OTHER)
        if path in joined
    )


def _validate_paths(config: dict[str, Any]) -> tuple[Patch, Refused]:
    """The values that can be taken, and the others with a reason."""
    good: dict[str, Any] = {}
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
                    if _is_valid(path, value):
                        good[path] = value
                    else:
                        refused[path] = "wrong_value"
                else:
                    is_ours = key in known.annotation.model_fields
                    refused.setdefault(_OTHER, "not_remote" if is_ours else "unknown_key")
    return _patch(good), refused


def _is_valid(path: str, value: Any) -> bool:
    """Null is no value; numbers are numbers of their kind: true is not 1, nor is 1.0."""
    if type(value) not in (int, bool):
        return False
    try:
        return _patch({path: value}).values() == {path: value}
    except ValidationError:
        return False


def _patch(values: Mapping[str, Any]) -> Patch:
    patch: Patch = Patch.model_validate(nested(values))
    return patch


class RemoteControl:
    """Holds the settings and writes each change of them. `config` is what is in force.

    Survives a lost or damaged file: it begins with the defaults, the broker brings the retained
    desired state again, and a file lost while we run is written again.
    """

    def __init__(self, config: AgentConfig, count: Callable[[EventCode], object]) -> None:
        """`config`: as the person on site wrote it; `count`: notes an event. Raises
        `ConfigError`."""
        self._local = config
        self._path = config.store.settings
        self._count = count
        self.settings = self._load()
        self.config = config
        self.changed_at: float | None = None
        """Monotonic seconds of the last change of what is in force; None: none in this process."""
        self._refused: Refused = {}
        self._pending: dict[Origin, DesiredState] = {}
        """Desired states that could not be taken yet."""
        self._next_check = 0.0
        self._in_force = self._resolve_again()

    @property
    def reported(self) -> Reported:
        """The reported state, which answers the desired one."""
        current = self.settings
        earlier: list[Refused] = [
            {each.path: each.reason for each in rejected}
            for rejected in (current.rejected, current.defaults_rejected)
        ]
        return Reported(
            version=current.version,
            defaults=current.defaults_version,
            config=self._in_force,
            rejected=rejections(*earlier, self._refused),
        )

    def set_desired(self, desired: DesiredState, origin: Origin) -> None:
        """Take what is valid of a newer document; older ones and replays change nothing. Where the
        disk takes nothing, `tick` tries again."""
        current = self.settings
        version = current.version if origin == "own" else current.defaults_version
        pending = self._pending.get(origin)
        if desired.version < max(version, pending.version if pending else 0):
            self._count("settings_refused")
            return
        if desired.version == version:
            return
        rejected = rejections(desired.refused)
        news: dict[str, Any] = (
            {"version": desired.version, "own": desired.patch, "rejected": rejected}
            if origin == "own"
            else {
                "defaults_version": desired.version,
                "defaults": desired.patch,
                "defaults_rejected": rejected,
            }
        )
        changed = current.model_copy(update=news)
        try:
            patch, refused = resolve_desired(self._local, changed.own, changed.defaults)
            config = remote_settings.apply(self._local, patch)
            now_in_force = in_force(config)
            self._save(changed.model_copy(update={"patch": patch}))
        except (ConfigError, StoreError) as error:
            # A disk that takes nothing, or a profile file that has gone since the start.
            log.error("%s The new settings wait.", error)
            self._pending[origin] = desired
            return
        self._pending.pop(origin, None)
        self._refused, self.config, self._in_force = refused, config, now_in_force
        self.changed_at = time.monotonic()
        if desired.refused or refused:
            self._count("settings_refused")

    def set_paused(self, paused: bool) -> None:
        """Raises `StoreError`."""
        if self.settings.paused != paused:
            self._save(self.settings.model_copy(update={"paused": paused}))

    def set_content(self, slot: int) -> None:
        """`slot`: 0-255, what is shown from now on. Raises `StoreError`."""
        count = (self.settings.content_count + 1) % 2**32
        self._save(self.settings.model_copy(update={"content": slot, "content_count": count}))

    def set_announced(self, announced: bool) -> None:
        """Remember whether Home Assistant knows of us. Raises `StoreError`."""
        if self.settings.announced != announced:
            self._save(self.settings.model_copy(update={"announced": announced}))

    def tick(self, now: float) -> None:
        """Write again what was lost, take what waited; `now`: monotonic seconds."""
        if now < self._next_check:
            return
        for origin, desired in list(self._pending.items()):
            self.set_desired(desired, origin)
        try:
            if remote_settings.read(self._path) != self.settings:
                self._save(self.settings)
        except StoreError as error:
            log.error("%s It is written again.", error)
            self._rewrite()
        self._next_check = now + (_RETRY_INTERVAL if self._pending else _CHECK_INTERVAL)

    def _save(self, changed: Settings) -> None:
        remote_settings.write(self._path, changed)
        self.settings = changed

    def _rewrite(self) -> None:
        try:
            self._save(self.settings)
        except StoreError as error:
            log.error("%s", error)

    def _load(self) -> Settings:
        try:
            return remote_settings.read(self._path)
        except StoreError as error:
            log.error("%s Until then the settings are those of the configuration.", error)
            self._count("settings_refused")
            return Settings()

    def _resolve_again(self) -> RemoteSettings:
        """The configuration or the policy may have changed since the file was written. Raises
        `ConfigError` where not even the local configuration is allowed."""
        current = self.settings
        patch, self._refused = resolve_desired(self._local, current.own, current.defaults)
        self.config = remote_settings.apply(self._local, patch)
        if patch != current.patch:
            self.settings = current.model_copy(update={"patch": patch})
            self._rewrite()
        return in_force(self.config)
