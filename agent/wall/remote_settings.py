"""The remote settings file: settings and commands received by `uplink` for `perceive`.

It holds bounded numbers only, never code, paths or text. `perceive` validates it again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, create_model

from agent.base.config import AgentConfig, remote_fields
from agent.base.errors import StoreError
from agent.base.files import read_regular_file, write_atomically
from agent.base.report import ClosedModel, to_json
from agent.base.report.device import Rejected, Version
from agent.base.settings_file import parse

MAX_BYTES = 4096
"""A longer file is refused."""


def nested(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`{"section.key": value}` -> `{"section": {"key": value}}`."""
    sections: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        name, _, key = path.partition(".")
        sections.setdefault(name, {})[key] = value
    return sections


def _patch_model() -> type[ClosedModel]:
    """The remote fields of the configuration with their bounds, each optional."""
    optional = {
        path: (Annotated[(info.annotation | None, *info.metadata)], None)  # type: ignore[operator]
        for path, info in remote_fields().items()
    }
    sections: dict[str, Any] = {}
    for name, fields in nested(optional).items():
        section = create_model(name.title(), __base__=ClosedModel, **fields)
        sections[name] = (section, section())
    return create_model("Sections", __base__=ClosedModel, **sections)


class Patch(_patch_model()):  # type: ignore[misc]
    """Desired values of remote settings, by section and key; null: not set."""

    def values(self) -> dict[str, Any]:
        """By path ("section.key"), without those that are null."""
        return {
            f"{name}.{key}": value
            for name, section in self.model_dump(exclude_none=True).items()
            for key, value in section.items()
        }

    def without(self, paths: Collection[str]) -> Patch:
        """This patch with the values at `paths` not set."""
        kept = {path: value for path, value in self.values().items() if path not in paths}
        patch: Patch = Patch.model_validate(nested(kept))
        return patch


Refusals = Annotated[tuple[Rejected, ...], Field(max_length=16)]


class Settings(ClosedModel):
    """All data that reaches the perceive process from the network."""

    v: Literal[1] = 1
    version: Version = 0
    """Version of the device's own desired state; only ever moves ahead."""
    patch: Patch = Patch()
    """In force: the group's defaults, overridden by `own`."""
    own: Patch = Patch()
    rejected: Refusals = ()
    defaults_version: Version = 0
    """Version of the group's defaults."""
    defaults: Patch = Patch()
    defaults_rejected: Refusals = ()
    announced: bool = False
    """Whether a Home Assistant discovery message is retained at the broker."""
    paused: bool = False
    content: Annotated[int, Field(ge=0, le=255)] | None = None
    """The slot of the last `content` command; null: none yet."""
    content_count: Annotated[int, Field(ge=0, le=4_294_967_295)] = 0
    """Number of `content` commands, to detect a repeated slot."""


def read(path: Path) -> Settings:
    """The file's content, or the defaults where it does not exist. Raises `StoreError` where it
    cannot be read or is invalid."""
    try:
        body = read_regular_file(path, MAX_BYTES)
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise StoreError(f"The settings {path} cannot be read: {error.strerror}.") from None
    try:
        if len(body) > MAX_BYTES:
            raise ValueError("it is too long")
        return Settings.model_validate_json(body)
    except ValueError as error:
        what = f"{error.error_count()} errors" if isinstance(error, ValidationError) else error
        raise StoreError(
            f"The settings {path} are not valid ({what}). "
            "Remove the file: the uplink writes it anew."
        ) from None


def write(path: Path, settings: Settings) -> None:
    """Replace the file atomically. Raises `StoreError`."""
    try:
        write_atomically(path, to_json(settings))
    except OSError as error:
        raise StoreError(
            f"The settings {path} cannot be written: {error.strerror}. Free disk space."
        ) from None


def apply(config: AgentConfig, patch: Patch) -> AgentConfig:
    """The configuration with a patch applied. Raises `ConfigError`."""
    merged: dict[str, Any] = config.model_dump()
    for name, section in patch.model_dump(exclude_none=True).items():
        merged[name] = {**merged[name], **section}
    return parse(merged, "the fleet's settings")
