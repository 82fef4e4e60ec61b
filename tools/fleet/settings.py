"""A fleet's `fleet.toml`: where its database, broker, authorities and update repository are.

FOLDER/fleet.toml           these settings; every key has a default
FOLDER/fleet.db             the database, unless `store.url` names a PostgreSQL
FOLDER/ca/ devices/ operators/ broker/      see `tools.fleet.broker.folder`
FOLDER/keys/                private keys of the update repository; the offline ones on a stick
FOLDER/repository/          the update repository, as a web server publishes it
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tools.common.errors import ToolError

FOLDER = Path(os.environ.get("FLEETING_FLEET", "fleet"))
"""Where a fleet lies unless `--fleet` says so."""


class Section(BaseModel):
    """Frozen; unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class StoreSettings(Section):
    """The database."""

    url: str = ""
    """`sqlite:///PATH` or `postgresql://USER@HOST/NAME` (libpq's form); empty: FOLDER/fleet.db. A
    password belongs into libpq's ~/.pgpass."""


class BrokerSettings(Section):
    """How this side reaches the broker."""

    host: str = "localhost"
    port: int = Field(8884, ge=1, le=65_535)
    tls: bool = True
    """Off: for a broker on this machine only; refused elsewhere."""
    operator: str = "fleet"
    """Whose certificate, in FOLDER/operators."""
    group: str = Field("collectors", pattern=r"^[A-Za-z0-9_-]{1,32}$")
    """Of the shared subscription: collectors of one group share the load."""
    kind: Literal["mqtt", "amqp"] = "mqtt"
    """How collectors read: shared subscriptions (Mosquitto), or a quorum queue (RabbitMQ)."""
    amqp: str = ""
    """`amqps://USER@HOST/VHOST`; only with kind = "amqp"."""


class RepositorySettings(Section):
    """The update repository."""

    url: str = ""
    """Where devices fetch it; only written into what is printed for them."""


class FleetSettings(Section):
    """The whole of `fleet.toml`."""

    store: StoreSettings = StoreSettings()
    broker: BrokerSettings = BrokerSettings()
    repository: RepositorySettings = RepositorySettings()


def load(folder: Path) -> FleetSettings:
    """FOLDER/fleet.toml; defaults where there is none. Raises `ToolError`."""
    path = folder / "fleet.toml"
    try:
        return FleetSettings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return FleetSettings()
    except OSError as error:
        raise ToolError(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ToolError(f"{path} is not valid TOML: {error}. Correct that line.") from None
    except ValidationError as error:
        where = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()
        )
        raise ToolError(f"{path} cannot be used: {where}. Correct it.") from None


def store_url(folder: Path, settings: FleetSettings) -> str:
    """Of the database."""
    return settings.store.url or f"sqlite:///{(folder / 'fleet.db').resolve()}"
