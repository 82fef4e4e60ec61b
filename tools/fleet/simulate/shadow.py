"""A simulated device's settings: desired in, reported out, by the agent's own rules."""

from __future__ import annotations

import functools
from typing import Literal

from agent.base.report import RemoteSettings, Reported, to_json
from agent.base.vocabulary import WindowLength
from agent.uplink import strict_json
from agent.uplink.settings import (
    MAX_JUMP,
    DesiredState,
    in_force,
    parse_desired,
    rejections,
    resolve_desired,
)
from agent.uplink.strict_json import MalformedError
from agent.wall import remote_settings
from tools.fleet.simulate.bodies import site

_VERSIONS = 2**31
Origin = Literal["own", "defaults"]


class Shadow:
    """The settings of one device."""

    __slots__ = ("_defaults", "_jumped", "_own", "_window")

    def __init__(self, window: WindowLength) -> None:
        self._window = window
        self._own = self._defaults = b""
        """The documents in force; empty: none came."""
        self._jumped = False

    @property
    def version(self) -> int:
        """Of the device's own document."""
        return _read(self._own).version if self._own else 0

    @property
    def settings(self) -> RemoteSettings:
        """In force."""
        return _resolved(self._window, self._own, self._defaults)[1]

    @property
    def reported(self) -> bytes:
        """The canonical bytes of the reported state."""
        return _resolved(self._window, self._own, self._defaults, self._jumped)[0]

    def receive(self, body: bytes, origin: Origin) -> bool:
        """A desired state; returns whether anything is to be reported."""
        try:
            version = _read(body).version
        except MalformedError:
            return False  # as an empty one: settings stay in force
        known = self._own if origin == "own" else self._defaults
        last = _read(known).version if known else 0
        if (version - last) % _VERSIONS > MAX_JUMP:
            was, self._jumped = self._jumped, self._jumped or version > last
            return self._jumped != was
        changed, self._jumped = self._jumped, False
        if version == last:
            return changed
        if origin == "own":
            self._own = body
        else:
            self._defaults = body
        return True


@functools.lru_cache(maxsize=1024)
def _read(body: bytes) -> DesiredState:
    """Raises `MalformedError`."""
    return parse_desired(strict_json.parse(body))


@functools.lru_cache(maxsize=1024)
def _resolved(
    window: WindowLength, own: bytes, defaults: bytes, jumped: bool = False
) -> tuple[bytes, RemoteSettings]:
    """Devices of one fleet hold the same documents: the policy is resolved once for all."""
    config, _ = site(window)
    wishes = [_read(each) if each else None for each in (own, defaults)]
    empty = remote_settings.Settings().own
    patch, refused = resolve_desired(config, *(each.patch if each else empty for each in wishes))
    settings = in_force(remote_settings.apply(config, patch), listens=False)
    told = rejections(
        {"other": "version_jump"} if jumped else {},
        *(each.refused for each in wishes if each),
        refused,
    )
    reported = Reported(
        version=wishes[0].version if wishes[0] else 0,
        defaults=wishes[1].version if wishes[1] else 0,
        config=settings,
        rejected=told,
    )
    return to_json(reported), settings
