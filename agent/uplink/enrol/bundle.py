"""What the operator gives along with a device: one TOML file, mode 0600, `ID.enrol`.

It names the device and its broker, and holds the fleet's authorities and a certificate that is good
for one enrolment only.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import Field, ValidationError

from agent.base.config import Section
from agent.base.files import read_secret
from agent.base.values import TopicLevel
from agent.uplink.enrol.errors import EnrolError
from agent.uplink.enrol.examine import common_name

_MAX_BYTES = 32_768
_MAX_AUTHORITIES = 4
Port = Annotated[int, Field(ge=1, le=65_535)]
Pem = Annotated[str, Field(min_length=50, max_length=16_000)]


class Site(Section):
    """Where a device enrols and connects afterwards."""

    device: TopicLevel
    host: str = Field(min_length=1, max_length=255)
    port: Port = 8883
    """Of the devices' listener."""
    enrol_port: Port = 8885
    """Of the listener for bootstrap certificates."""

    def toml(self) -> str:
        """TOML's basic strings are JSON's."""
        return "".join(f"{key} = {json.dumps(value)}\n" for key, value in self)


class Bundle(Site):
    """The whole file."""

    authorities: Pem
    """Certificates, PEM."""
    certificate: Pem
    key: Pem

    def whole(self) -> str:
        """As a file; the PEM texts as literal strings."""
        texts = ("authorities", "certificate", "key")
        return Site(**self.model_dump(exclude={*texts})).toml() + "".join(
            f"{name} = '''\n{getattr(self, name).strip()}\n'''\n" for name in texts
        )


def read_bundle(path: Path) -> Bundle:
    """Raises `EnrolError`, and `ConfigError` where others may read the file."""
    try:
        content = read_secret(path, "the bundle", _MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ValueError("it is too long")
        found = Bundle.model_validate(tomllib.loads(content.decode()))
        read_authorities(found.authorities.encode())
        certificate = x509.load_pem_x509_certificate(found.certificate.encode())
        key = load_pem_private_key(found.key.encode(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("its key is of another kind")
        if key.public_key() != certificate.public_key():
            raise ValueError("its key belongs to another certificate")
        if common_name(certificate) != found.device:
            raise ValueError("its certificate bears another name")
    except OSError as error:
        raise EnrolError(f"The bundle {path} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        where = ", ".join(".".join(map(str, each["loc"])) for each in error.errors())
        raise EnrolError(
            f"{path} is no bundle for enrolment: look at {where}. Have it made again: "
            "fleeting-fleet bootstrap ID."
        ) from None
    except (ValueError, TypeError) as error:  # also TOML, UTF-8 and PEM
        what = str(error) if type(error) is ValueError else "it is damaged"
        raise EnrolError(
            f"{path} is no bundle for enrolment: {what[:120]}. Have it made again: "
            "fleeting-fleet bootstrap ID."
        ) from None
    return found


def read_authorities(pem: bytes) -> list[x509.Certificate]:
    """At least one, each an authority's. Raises `ValueError`."""
    found = x509.load_pem_x509_certificates(pem)
    if len(found) > _MAX_AUTHORITIES:
        raise ValueError("it names too many authorities")
    for each in found:
        try:
            constraints = each.extensions.get_extension_for_class(x509.BasicConstraints)
        except x509.ExtensionNotFound:
            raise ValueError("what it calls an authority is none") from None
        if not constraints.value.ca:
            raise ValueError("what it calls an authority is none")
    return found
