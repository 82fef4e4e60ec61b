"""Remote settings: validation of desired states, and the settings file.

A document `{"version": int, "config": {section: {key: value}}}` replaces the one before. The
device's own document overrides its group's key by key; the two have separate versions. A value is
accepted or refused, never clamped: it can only be stricter than the site's own file. Refusals are
reported by path, or as `other` for an unknown path, so that no received text is echoed. A change is
written to disk before it is in force.

Versions are serial numbers (RFC 1982): a document is newer if its version is at most `MAX_JUMP`
ahead of the last accepted one, counting past the highest back to 1. No version can lock a fleet
out: the next one is always the reported one plus 1.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

from agent.base.config import AgentConfig, remote_fields
from agent.base.errors import ConfigError, StoreError
from agent.base.files import remove_leftovers
from agent.base.repeats import Seldom
from agent.base.report import (
    EventCode,
    HeardReported,
    HeardSettings,
    Rejected,
    RemoteSettings,
    Reported,
)
from agent.base.report.device import Refusal, RemotePath, Version
from agent.privacy.policy.rules import resolve
from agent.privacy.policy.site import weaker_than_site
from agent.uplink.strict_json import MalformedError
from agent.wall import remote_settings
from agent.wall.remote_settings import Patch, Settings, nested

log = logging.getLogger(__name__)

Refused = dict[str, Refusal]
"""Reason by refused path, or `other`."""
Origin = Literal["own", "defaults"]
"""The device's own document, or its group's."""

PATHS = tuple(remote_fields())
_TOLD = get_args(RemotePath)
"""Those that a refusal names; the others are `other`."""
MAX_JUMP = 2**20
"""How far a version may be ahead of the last accepted one; the first, of 0."""
_OTHER = "other"
_VERSIONS = 2**31
"""Versions are counted modulo this number."""
_VERSION: TypeAdapter[int] = TypeAdapter(Version)
_CHECK_INTERVAL = 60.0
"""Seconds between checks of the file's content."""
_RETRY_INTERVAL = 5.0


@dataclass(frozen=True, slots=True)
class DesiredState:
    """One parsed document."""

    version: int
    patch: Patch
    """Values with a valid path and type, not yet checked against the policy."""
    refused: Refused


def parse_desired(document: Any) -> DesiredState:
    """Raises `MalformedError` for anything but a desired state."""
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
    """The patch in force, each value from `own`, else from `defaults`, if policy and site permit
    it; and the paths that they refuse. Raises `ConfigError` where `config` is not permitted."""
    chosen: dict[str, Any] = {}
    refused: Refused = {}
    desired = [(each.values(), weaker_than_site(config, each.values())) for each in (own, defaults)]
    for path in PATHS:
        for values, weaker in desired:
            if path not in values or path in chosen:
                continue
            wished = chosen | {path: values[path]}
            if not _policy_permits(config, wished):
                refused.setdefault(path, "weaker_than_policy")
            elif path in weaker:
                refused.setdefault(path, "weaker_than_site")
            else:
                chosen = wished
    return _patch(chosen), refused


def _policy_permits(config: AgentConfig, values: Mapping[str, Any]) -> bool:
    try:
        resolve(remote_settings.apply(config, _patch(values)), live=False)
    except ConfigError:
        return False
    return True


def in_force(config: AgentConfig, listens: bool) -> RemoteSettings:
    """The remote settings of a configuration. `listens`: the site switches microphone or words on,
    whatever the fleet wishes. Raises `ConfigError`."""
    policy = resolve(config, live=False)
    values = {path: getattr(getattr(config, path.split(".")[0]), path.split(".")[1])
              for path in PATHS}  # fmt: skip
    values |= {
        "privacy.k": policy.k,
        "privacy.window": policy.window,
        "privacy.microphone": policy.hears,
        "privacy.words": policy.reads,
    }
    if listens:
        return HeardSettings.model_validate(nested(values))
    return RemoteSettings.model_validate(nested({path: values[path] for path in _TOLD}))


def rejections(*refused: Mapping[str, Refusal]) -> tuple[Rejected, ...]:
    """One entry per path, in declared order; of several refusals the first."""
    joined: Refused = {}
    for each in refused:
        named = {path if path in _TOLD else _OTHER: reason for path, reason in each.items()}
        joined = {**named, **joined}
    return tuple(
        Rejected(path=path, reason=joined[path])  # type: ignore[arg-type]
        for path in (*PATHS, _OTHER)
        if path in joined
    )


def _validate_paths(config: dict[str, Any]) -> tuple[Patch, Refused]:
    """The valid values, and a reason for each refused path."""
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
    """Strict types: null, `true` for 1 and 1.0 for 1 are invalid."""
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
    """Holds the settings and writes each change of them. `config` is the configuration in force.

    A lost or damaged file is rewritten; at startup it is replaced by the defaults until the broker
    sends the retained desired state again.
    """

    def __init__(self, config: AgentConfig, count: Callable[[EventCode], object]) -> None:
        """`config`: the local configuration; `count`: counts an event. Raises `ConfigError`."""
        self._local = config
        self._listens = resolve(config, live=False).listens
        self._path = config.store.settings
        self._count = count
        remove_leftovers(self._path)
        self.settings = self._load()
        self.config = config
        self.changed_at: float | None = None
        """Monotonic seconds of the last change in this process; None: none yet."""
        self._refused: Refused = {}
        self._jumped: set[Origin] = set()
        """Whose last document was refused because its version is too far ahead."""
        self._pending: dict[Origin, DesiredState] = {}
        """Desired states that could not be applied yet."""
        self._next_check = 0.0
        self._fault = Seldom()
        self._in_force = self._resolve_again()

    @property
    def reported(self) -> Reported:
        """The reported state."""
        current = self.settings
        jumped: Refused = {_OTHER: "version_jump"} if self._jumped else {}
        earlier: list[Refused] = [
            {each.path: each.reason for each in rejected}
            for rejected in (current.rejected, current.defaults_rejected)
        ]
        form = HeardReported if self._listens else Reported
        return form(
            version=current.version,
            defaults=current.defaults_version,
            config=self._in_force,  # type: ignore[arg-type]
            rejected=rejections(jumped, *earlier, self._refused),
        )

    def set_desired(self, desired: DesiredState, origin: Origin) -> None:
        """Apply the valid values of a newer document; older versions, and those too far ahead, are
        refused. After a failure to write, `tick` tries again."""
        current = self.settings
        version = current.version if origin == "own" else current.defaults_version
        pending = self._pending.get(origin)
        last = pending.version if pending else version
        ahead = (desired.version - last) % _VERSIONS
        if ahead > MAX_JUMP:
            self._count("settings_refused")
            if desired.version > last:
                self._jumped.add(origin)
            return
        self._jumped.discard(origin)
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
            now_in_force = in_force(config, self._listens)
            self._save(changed.model_copy(update={"patch": patch}))
        except (ConfigError, StoreError) as error:
            # The disk is full, or the profile file has gone since startup.
            if self._fault():
                log.error("%s The new settings wait.", error)
            self._pending[origin] = desired
            return
        self._fault.over()
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
        """`slot`: content on show from now on, 0-255. Raises `StoreError`."""
        count = (self.settings.content_count + 1) % 2**32
        self._save(self.settings.model_copy(update={"content": slot, "content_count": count}))

    def set_announced(self, announced: bool) -> None:
        """Store whether a discovery message is retained. Raises `StoreError`."""
        if self.settings.announced != announced:
            self._save(self.settings.model_copy(update={"announced": announced}))

    def tick(self, now: float) -> None:
        """Rewrite a lost or altered file, apply pending desired states; `now`: monotonic
        seconds."""
        if now < self._next_check:
            return
        for origin, desired in list(self._pending.items()):
            self.set_desired(desired, origin)
        try:
            if remote_settings.read(self._path) != self.settings:
                self._save(self.settings)
        except StoreError as error:
            if self._fault():
                log.error("%s It is written again.", error)
            self._rewrite()
        self._next_check = now + (_RETRY_INTERVAL if self._pending else _CHECK_INTERVAL)

    def _save(self, changed: Settings) -> None:
        remote_settings.write(self._path, changed)
        self.settings = changed

    def _rewrite(self) -> None:
        try:
            self._save(self.settings)
            self._fault.over()
        except StoreError as error:
            if self._fault():
                log.error("%s", error)

    def _load(self) -> Settings:
        try:
            return remote_settings.read(self._path)
        except StoreError as error:
            log.error("%s Until then the settings are those of the configuration.", error)
            self._count("settings_refused")
            return Settings()

    def _resolve_again(self) -> RemoteSettings:
        """Resolve again: configuration or policy may have changed since the file was written.
        Raises `ConfigError` where the local configuration itself is not permitted."""
        current = self.settings
        patch, self._refused = resolve_desired(self._local, current.own, current.defaults)
        self.config = remote_settings.apply(self._local, patch)
        if patch != current.patch:
            self._count("settings_refused")
            self.settings = current.model_copy(update={"patch": patch})
            self._rewrite()
        return in_force(self.config, self._listens)
