"""The settings that a device is wished to have: checked when typed, composed, numbered.

A device takes a document whose version is ahead of its last one by `MAX_JUMP` at most, counting
past the highest back to 1 (`agent.uplink.settings`). Versions here rise by one; where a device has
gone elsewhere (a database restored from a backup, another fleet) the next one is the device's plus
one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from agent.base.report import Reported
from agent.uplink.settings import MAX_JUMP, PATHS, parse_desired
from agent.wall.remote_settings import nested
from tools.common.errors import ToolError

VERSIONS = 2**31
RENUMBER = 3600
"""Seconds: a device that says it took a document whose values it does not have gets it under a new
version, no more often than this."""

Values = Mapping[str, int | bool]
"""By path, `privacy.k`."""


@dataclass(frozen=True, slots=True)
class Desired:
    """The document for one device or group."""

    version: int
    config: Values
    changed_at: int

    @property
    def body(self) -> bytes:
        """What is retained at the broker."""
        document = {"version": self.version, "config": nested(self.config)}
        return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def to_text(values: Values) -> str:
    """As the database keeps them."""
    return json.dumps(dict(values), separators=(",", ":"), sort_keys=True)


def from_text(text: str) -> dict[str, int | bool]:
    """Values of the database; what is no setting any more is left out."""
    found = json.loads(text)
    return {path: found[path] for path in PATHS if path in found}


def parse_assignment(text: str) -> tuple[str, int | bool | None]:
    """`privacy.k=5` -> path and value; `privacy.k=` takes the wish back. Raises `ToolError`."""
    path, equals, given = text.partition("=")
    path, given = path.strip(), given.strip()
    if not equals:
        raise ToolError(f"{text!r} sets nothing. Give PATH=VALUE, such as privacy.k=5.")
    if path not in PATHS:
        raise ToolError(
            f"{path!r} is no setting that a fleet may change. There are {', '.join(PATHS)}; the "
            "others are decided on site."
        )
    if not given or given == "null":
        return path, None
    try:
        value = json.loads(given)
    except ValueError:
        value = given
    parsed = parse_desired({"version": 1, "config": nested({path: value})})
    if parsed.refused:
        raise ToolError(
            f"{given!r} cannot be the value of {path}. `fleeting config show` prints each key's "
            "meaning and bounds; a whole number, true or false is expected."
        )
    return path, value


def next_version(version: int) -> int:
    """After the highest comes 1; 0 means that there was none."""
    return version % (VERSIONS - 1) + 1


def ahead(desired: int, reported: int) -> int:
    """How far a version lies ahead of another; 0: they are the same."""
    return (desired - reported) % VERSIONS


def compose(groups: Sequence[Values], own: Values) -> dict[str, int | bool]:
    """The groups' wishes one over the other, in order, and the device's own over them."""
    values: dict[str, int | bool] = {}
    for each in (*groups, own):
        values |= each
    return {path: values[path] for path in PATHS if path in values}


def renewed(
    current: Desired | None, wanted: Values, reported: Reported | None, now: int
) -> Desired | None:
    """The document that has to take the place of the current one; null: it stays.

    `reported`: what the device says, if it ever said anything.
    """
    said = reported.version if reported else 0
    if current is None:
        return Desired(next_version(said), dict(wanted), now) if wanted else None
    if dict(current.config) != dict(wanted):
        following = next_version(current.version)
        reachable = reported is None or 0 < ahead(following, said) <= MAX_JUMP
        return Desired(following if reachable else next_version(said), dict(wanted), now)
    if reported is None:
        return None
    distance = ahead(current.version, said)
    if distance > MAX_JUMP:  # it would refuse this one
        return Desired(next_version(said), dict(wanted), now)
    if distance == 0 and contradicts(wanted, reported) and now - current.changed_at >= RENUMBER:
        return Desired(next_version(said), dict(wanted), now)
    return None


def contradicts(wanted: Values, reported: Reported) -> bool:
    """Whether a wished value is neither in force nor refused."""
    refused = {each.path for each in reported.rejected}
    force = {
        f"{section}.{key}": value
        for section, values in reported.config.model_dump().items()
        for key, value in values.items()
    }
    return "other" not in refused and any(
        path in force and force[path] != value and path not in refused
        for path, value in wanted.items()
    )


def parse_reported(body: str | None) -> Reported | None:
    """A reported state as the database keeps it."""
    from agent.base.report import HeardReported

    if not body:
        return None
    try:
        return Reported.model_validate_json(body)
    except ValidationError:
        try:
            return HeardReported.model_validate_json(body)
        except ValidationError:
            return None


def as_json(desired: Desired) -> dict[str, Any]:
    return {"version": desired.version, "config": dict(desired.config)}
