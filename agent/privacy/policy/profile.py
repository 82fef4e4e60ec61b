"""Profile files: a site's stricter version of a built-in policy, and texts for its notice.

```toml
extends = "retail-eu"
min_k = 20
cells = ["attention", "dwell"]          # beside `visits`, which is always published
quiet_hours = ["22:00-06:30"]

[notice]
operator = "Example Stores GmbH"
contact = "privacy@stores.example"
```

`trusted_file` decides whether a file is trusted, `rules` applies it.
"""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from agent.base.config import Polygon, PrivacyConfig
from agent.base.errors import ConfigError
from agent.base.values import Hours
from agent.base.vocabulary import AnyCell, Place, PolicyName, Region, WindowLength
from agent.privacy.policy.polygon import check_polygons
from agent.privacy.policy.trusted_file import read_owned_by_root, read_signed

Language = Literal["en", "de", "fr", "es"]
"""Languages of the built-in sign."""

_STATES = (
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ "
    "NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY AS GU MP PR VI"
)
_MAX_LINE = 1000
"""Characters; a key of thousands of parts would take the parser a minute."""


def _printable(text: str) -> str:
    """Printable characters of any script; no control or bidirectional formatting characters."""
    # The no-break spaces before a colon in French are not `isprintable`.
    if not text.replace("\u00a0", " ").replace("\u202f", " ").isprintable():
        raise ValueError("only letters, signs and spaces, on one line")
    if text != text.strip() or not text:
        raise ValueError("no empty text, no spaces at its ends")
    return text


def _once_each(given: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(given)) != len(given):
        raise ValueError("each only once")
    return given


def _known_state(state: str) -> str:
    if state not in _STATES.split():
        raise ValueError("no state or territory of the USA by its two letters")
    return state


Line = Annotated[str, Field(max_length=120), AfterValidator(_printable)]
Sentence = Annotated[str, Field(max_length=320), AfterValidator(_printable)]
Words = Sentence | dict[Language, Sentence]
"""One text for all languages, or one for each."""

_NOT_EMPTY = Field(min_length=1, strict=False)
Regions = Annotated[tuple[Region, ...], _NOT_EMPTY, AfterValidator(_once_each)]
Places = Annotated[tuple[Place, ...], _NOT_EMPTY, AfterValidator(_once_each)]
Cells = Annotated[tuple[AnyCell, ...], _NOT_EMPTY, AfterValidator(_once_each)]
Languages = Annotated[tuple[Language, ...], _NOT_EMPTY, AfterValidator(_once_each)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NoticeWords(_Section):
    """The operator's texts on the sign. Never published."""

    operator: Line | None = None
    """Who is responsible."""
    contact: Line | None = None
    """Where to ask: mail, telephone, address, web page."""
    purpose: Words | None = None
    legal_basis: Words | None = None
    retention: Words | None = None
    """How long the published counts are kept."""
    avoid: Words | None = None
    """How to avoid the camera: another entrance, another counter."""
    languages: Languages = ("en",)
    """Languages of the signs by default."""

    def text(self, words: Words | None, language: Language) -> str | None:
        """A text in this language, None where there is none."""
        return words.get(language) if isinstance(words, dict) else words


class SiteProfile(_Section):
    """Content of a profile file; keys left out do not change the policy."""

    extends: PolicyName
    regions: Regions | None = None
    places: Places | None = None
    cells: Cells | None = None
    min_k: Annotated[int, Field(ge=1, le=100)] | None = None
    max_epsilon: Annotated[float, Field(ge=0.01, le=10, allow_inf_nan=False)] | None = None
    min_window: WindowLength | None = None
    """Seconds."""
    quiet_hours: Annotated[tuple[Hours, ...], Field(max_length=8, strict=False)] = ()
    staff_zones: Annotated[tuple[Polygon, ...], Field(max_length=16, strict=False)] = ()
    state: Annotated[str, AfterValidator(_known_state)] | None = None
    """Location in the USA, two letters."""
    notice: NoticeWords = NoticeWords()


def load_profile(privacy: PrivacyConfig) -> tuple[SiteProfile, str] | None:
    """The configured profile file and its SHA-256 (64 hex digits); None where none is configured.

    Raises `ConfigError` where it is not trusted, readable or for this policy.
    """
    path = privacy.profile
    if path is None:
        if privacy.profile_key is not None:
            raise ConfigError(
                "privacy.profile_key is set, but no privacy.profile that it would vouch for. Name "
                "the profile file, or remove the key."
            )
        return None
    if privacy.profile_key is None:
        data = read_owned_by_root(path)
    else:
        data = read_signed(path, privacy.profile_key)
    site = parse_profile(data, path)
    if site.extends != privacy.policy:
        raise ConfigError(
            f"The profile {path} extends {site.extends}, but privacy.policy is {privacy.policy}. "
            "Make them the same."
        )
    return site, hashlib.sha256(data).hexdigest()


def parse_profile(data: bytes, path: Path) -> SiteProfile:
    """Validate a profile's bytes; `path` names it in errors. Raises `ConfigError`."""
    try:
        text = data.decode("utf-8-sig")
        if max(map(len, text.split("\n"))) > _MAX_LINE:
            raise ValueError(f"a line has more than {_MAX_LINE} characters")
        site = SiteProfile.model_validate(tomllib.loads(text))
    except ValidationError as error:
        problems = "; ".join(
            f"{_key(item['loc'])}: "
            + ("unknown key" if item["type"] == "extra_forbidden" else _plain(item["msg"]))
            for item in error.errors(include_input=False, include_url=False)[:8]
        )
        raise ConfigError(f"The profile {path} cannot be used: {problems}. Correct it.") from None
    except RecursionError:
        raise ConfigError(f"The profile {path} is nested too deep. Is it the right file?") from None
    except ValueError as error:  # not TOML, not UTF-8, a number of thousands of digits
        raise ConfigError(
            f"The profile {path} is not valid TOML: {str(error)[:200]}. Correct that line."
        ) from None
    check_polygons(site.staff_zones, f"{path}: staff_zones")
    return site


def _key(place: tuple[int | str, ...]) -> str:
    """A key's path in the file, without Pydantic's names of union members."""
    return ".".join(str(part) for part in place[:6] if "[" not in str(part))[:80]


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")[:200]
