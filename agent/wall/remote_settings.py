"""The remote settings file: what came in for the perceive process, small and validated. `uplink`
writes it, `perceive` reads it.

It can hold the settings that a fleet may change and what a command asked for, as bounded numbers;
never code, paths or text. `perceive` validates it again and trusts nothing in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, create_model

from agent.base.config import AgentConfig, parse, remote_fields
from agent.base.errors import StoreError
from agent.base.files import write_atomically
from agent.base.report import ClosedModel, to_json
from agent.base.report.device import Rejected, Version

MOST_BYTES = 4096
"""A longer file is not ours."""


def nested(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`{"section.key": value}` -> `{"section": {"key": value}}`."""
    sections: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        name, _, key = path.partition(".")
        sections.setdefault(name, {})[key] = value
    return sections


def _patch_model() -> type[ClosedModel]:
    """The remote fields of the configuration, each optional and bounded as there."""
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
    """Desired values of remote settings, by section and key; null: none."""

    def values(self) -> dict[str, Any]:
        """By path ("section.key"), without those that are null."""
        return {
            f"{name}.{key}": value
            for name, section in self.model_dump(exclude_none=True).items()
            for key, value in section.items()
        }


Refusals = Annotated[tuple[Rejected, ...], Field(max_length=16)]


class Settings(ClosedModel):
    """All that the network can tell the perceive process."""

    v: Literal[1] = 1
    version: Version = 0
    """Of what the fleet desires of this device alone; it only grows."""
    patch: Patch = Patch()
    """In force: the group's defaults, and over them what is desired of this device alone."""
    own: Patch = Patch()
    rejected: Refusals = ()
    defaults_version: Version = 0
    """Of the group's defaults, counted apart."""
    defaults: Patch = Patch()
    defaults_rejected: Refusals = ()
    announced: bool = False
    """Whether Home Assistant was told of this device, and must be told when that ends."""
    paused: bool = False
    content: Annotated[int, Field(ge=0, le=255)] | None = None
    """The slot that a command named last; null: none did."""
    content_count: Annotated[int, Field(ge=0, le=4_294_967_295)] = 0
    """Grows with each such command, so that naming the same slot again is noticed."""


def read(path: Path) -> Settings:
    """The file's content, or the defaults where there is none.

    Raises `StoreError` where it cannot be read or is not valid: what was in force stays.
    """
    try:
        with path.open("rb") as file:
            body = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise StoreError(f"The settings {path} cannot be read: {error.strerror}.") from None
    try:
        if len(body) > MOST_BYTES:
            raise ValueError("it is too long")
        return Settings.model_validate_json(body)
    except ValueError as error:
        what = f"{error.error_count()} errors" if isinstance(error, ValidationError) else error
        raise StoreError(
            f"The settings {path} are not valid ({what}). "
            "Remove the file: the uplink writes it anew."
        ) from None


def write(path: Path, settings: Settings) -> None:
    """Replace the file, whole or not at all. Raises `StoreError`."""
    try:
        write_atomically(path, to_json(settings))
    except OSError as error:
        raise StoreError(
            f"The settings {path} cannot be written: {error.strerror}. Free disk space."
        ) from None


def apply(config: AgentConfig, patch: Patch) -> AgentConfig:
    """The configuration with a patch in it. Raises `ConfigError`."""
    merged: dict[str, Any] = config.model_dump()
    for name, section in patch.model_dump(exclude_none=True).items():
        merged[name] = {**merged[name], **section}
    return parse(merged, "the fleet's settings")
