"""Everything that the network can change on this device, in one place: the settings file.

A change is first on disk, then in force. What is refused changes nothing, not even the file's time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Literal

from agent.base.config import AgentConfig
from agent.base.errors import ConfigError, StoreError
from agent.base.report import EventCode, Rejected, RemoteSettings, Reported
from agent.uplink import shadow
from agent.uplink.shadow import DesiredState, Refused
from agent.wall import remote_settings
from agent.wall.remote_settings import Settings

log = logging.getLogger(__name__)

Origin = Literal["own", "defaults"]
"""Whose document: the device's own, or its group's."""
_LOOK = 60.0
"""Seconds between looks whether the file is still what we wrote."""
_RETRY = 5.0


class Control:
    """Holds the settings and writes each change of them. `config` is what is in force.

    Survives a lost or damaged file: it begins with the defaults, the broker brings retained wishes
    again, and a file lost while we run is written again.
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
        self._later: dict[Origin, DesiredState] = {}
        """Wishes that could not be taken yet."""
        self._next_look = 0.0
        self._remote = self._settle_again()

    @property
    def reported(self) -> Reported:
        """The other half of the shadow."""
        held = self.settings
        return Reported(
            version=held.version,
            defaults=held.defaults_version,
            config=self._remote,
            rejected=shadow.rejections(
                _reasons(held.rejected), _reasons(held.defaults_rejected), self._refused
            ),
        )

    def wish(self, wish: DesiredState, origin: Origin) -> None:
        """Take what is valid of a newer document; older ones and replays change nothing. Where the
        disk takes nothing, `tick` tries again."""
        held = self.settings
        current = held.version if origin == "own" else held.defaults_version
        waiting = self._later.get(origin)
        if wish.version < max(current, waiting.version if waiting else 0):
            self._count("settings_refused")
            return
        if wish.version == current:
            return
        rejected = shadow.rejections(wish.refused)
        news: dict[str, Any] = (
            {"version": wish.version, "own": wish.patch, "rejected": rejected}
            if origin == "own"
            else {
                "defaults_version": wish.version,
                "defaults": wish.patch,
                "defaults_rejected": rejected,
            }
        )
        wished = held.model_copy(update=news)
        try:
            patch, refused = shadow.settle(self._local, wished.own, wished.defaults)
            config = remote_settings.apply(self._local, patch)
            remote = shadow.in_force(config)
            self._keep(wished.model_copy(update={"patch": patch}))
        except (ConfigError, StoreError) as error:
            # A disk that takes nothing, or a profile file that has gone since the start.
            log.error("%s The fleet's wish waits.", error)
            self._later[origin] = wish
            return
        self._later.pop(origin, None)
        self._refused, self.config, self._remote = refused, config, remote
        self.changed_at = time.monotonic()
        if wish.refused or refused:
            self._count("settings_refused")

    def pause(self, paused: bool) -> None:
        """Raises `StoreError`."""
        if self.settings.paused != paused:
            self._keep(self.settings.model_copy(update={"paused": paused}))

    def show(self, slot: int) -> None:
        """`slot`: 0-255, what is shown from now on. Raises `StoreError`."""
        count = (self.settings.content_count + 1) % 2**32
        self._keep(self.settings.model_copy(update={"content": slot, "content_count": count}))

    def announced(self, announced: bool) -> None:
        """Remember whether Home Assistant knows of us. Raises `StoreError`."""
        if self.settings.announced != announced:
            self._keep(self.settings.model_copy(update={"announced": announced}))

    def tick(self, now: float) -> None:
        """Write again what was lost, take what waited; `now`: monotonic seconds."""
        if now < self._next_look:
            return
        for origin, wish in list(self._later.items()):
            self.wish(wish, origin)
        try:
            if remote_settings.read(self._path) != self.settings:
                self._keep(self.settings)
        except StoreError as error:
            log.error("%s It is written again.", error)
            self._rewrite()
        self._next_look = now + (_RETRY if self._later else _LOOK)

    def _keep(self, changed: Settings) -> None:
        remote_settings.write(self._path, changed)
        self.settings = changed

    def _rewrite(self) -> None:
        try:
            self._keep(self.settings)
        except StoreError as error:
            log.error("%s", error)

    def _load(self) -> Settings:
        try:
            return remote_settings.read(self._path)
        except StoreError as error:
            log.error("%s Until then the settings are those of the configuration.", error)
            self._count("settings_refused")
            return Settings()

    def _settle_again(self) -> RemoteSettings:
        """The configuration or the policy may have changed since the file was written. Raises
        `ConfigError` where not even the local configuration is allowed."""
        held = self.settings
        patch, self._refused = shadow.settle(self._local, held.own, held.defaults)
        self.config = remote_settings.apply(self._local, patch)
        if patch != held.patch:
            self.settings = held.model_copy(update={"patch": patch})
            self._rewrite()
        return shadow.in_force(self.config)


def _reasons(rejected: tuple[Rejected, ...]) -> Refused:
    return {each.path: each.reason for each in rejected}
