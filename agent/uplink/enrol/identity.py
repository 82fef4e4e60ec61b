"""A device's identity on disk. Key and certificate lie in one file, so that one rename(2) swaps
both: whatever happens, the two in a file belong together.

    FOLDER/enrol.toml       who this device is, and where its broker
           ca.pem           whoever signs for this fleet
           bootstrap.pem    key and bootstrap certificate; gone once enrolled
           pending.pem      a new key and the request for its certificate
           next.pem         that key and the certificate that came, not tried yet
           device.pem       key and certificate in use
           mqtt.toml        the lines for the configuration
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import os
import stat
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from agent.base.config import MqttConfig
from agent.base.files import read_secret, refuse_replaceable, write_atomically
from agent.uplink.enrol.bundle import Bundle, Site, read_authorities
from agent.uplink.enrol.errors import EnrolError
from agent.uplink.enrol.messages import RENEW_AFTER

FOLDER = Path("/var/lib/fleeting-enrol")
"""Made by systemd-tmpfiles for the user of the uplink."""
_MAX_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Pair:
    """A private key and a certificate for it."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class Pending:
    """A private key and the request for its certificate; both stay until it is answered."""

    key: ec.EllipticCurvePrivateKey
    csr: x509.CertificateSigningRequest

    @property
    def der(self) -> bytes:
        return self.csr.public_bytes(Encoding.DER)


class Identity:
    """The files of one device. Use it while `locked`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authorities = folder / "ca.pem"
        self.bootstrap = folder / "bootstrap.pem"
        self.pending = folder / "pending.pem"
        self.next = folder / "next.pem"
        self.device = folder / "device.pem"
        self.lines = folder / "mqtt.toml"
        self._site = folder / "enrol.toml"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder where it is missing and keep other runs out (flock(2), which ends with
        the process). Raises `EnrolError`, `ConfigError`, `OSError`."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_replaceable(self.folder / "device.pem", "the device's key")
        found = self.folder.stat()
        if found.st_uid != os.geteuid():
            raise EnrolError(
                f"{self.folder} belongs to another user (number {found.st_uid}). Run this as that "
                "user: sudo -u fleeting-uplink fleeting enrol."
            )
        if stat.S_IMODE(found.st_mode) & 0o022:
            raise EnrolError(
                f"Others may write to {self.folder}. Look what they left, then run: chmod 700 "
                f"{self.folder}"
            )
        number = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise EnrolError(
                    f"Another `fleeting enrol` works in {self.folder}. Wait for it, or end it."
                ) from None
            for each in self.folder.glob(".*.tmp"):  # of a run that was killed
                each.unlink(missing_ok=True)
            yield
        finally:
            os.close(number)

    def site(self) -> Site | None:
        """None: no bundle was ever taken in. Raises `EnrolError`."""
        try:
            content = read_secret(self._site, "the enrolment's settings", _MAX_BYTES)
            return Site.model_validate(tomllib.loads(content.decode()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            raise EnrolError(
                f"{self._site} is damaged. Take the bundle in again: fleeting enrol BUNDLE."
            ) from None

    def take_in(self, bundle: Bundle) -> None:
        """Keep what a bundle holds; `enrol.toml`, written last, makes it count. Raises `OSError`,
        `EnrolError` where the folder is another device's."""
        before = self.site()
        if before is not None and before.device != bundle.device:
            raise EnrolError(
                f"{self.folder} is that of {before.device}, and the bundle is for {bundle.device}. "
                "Name another folder with --folder, or move this one away."
            )
        site = Site(**bundle.model_dump(include=set(Site.model_fields)))
        self._write(self.bootstrap, f"{bundle.key}\n{bundle.certificate}\n".encode())
        write_atomically(self.authorities, f"{bundle.authorities}\n".encode(), 0o644)
        self._write(self._site, site.toml().encode())

    def trusted(self) -> list[x509.Certificate]:
        """The fleet's authorities. Raises `EnrolError`."""
        try:
            return read_authorities(self.authorities.read_bytes()[:_MAX_BYTES])
        except (OSError, ValueError):
            raise EnrolError(
                f"{self.authorities} cannot be used. Take the bundle in again: "
                "fleeting enrol BUNDLE."
            ) from None

    def pair(self, path: Path) -> Pair | None:
        """Key and certificate of a file, if it is there. Raises `EnrolError`, `ConfigError`."""
        try:
            content = read_secret(path, "the device's key", _MAX_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise EnrolError(f"{path} cannot be read: {error.strerror}.") from None
        try:
            key = _key(content)
            certificate = x509.load_pem_x509_certificate(content)
            if key.public_key() != certificate.public_key():
                raise ValueError("key and certificate do not belong together")
        except (ValueError, TypeError):
            raise EnrolError(
                f"{path} is damaged: it holds no key with its certificate. Restore it, or move it "
                "away and enrol this device anew."
            ) from None
        return Pair(key, certificate)

    def request(self, device: str) -> Pending:
        """The key that waits for its certificate, made if there is none. Raises `EnrolError`,
        `ConfigError`, `OSError`."""
        try:
            content = read_secret(self.pending, "the device's key", _MAX_BYTES)
        except FileNotFoundError:
            made = _new(device)
            pem = _pem(made.key) + made.csr.public_bytes(Encoding.PEM)
            self._write(self.pending, pem)
            return made
        try:
            found = Pending(_key(content), x509.load_pem_x509_csr(content))
            if found.csr.public_key() != found.key.public_key():
                raise ValueError("key and request do not belong together")
            if found.csr.subject != _name(device):
                raise ValueError("the request bears another name")
        except (ValueError, TypeError):
            raise EnrolError(
                f"{self.pending} is damaged or another device's. Move it away: a new key is made."
            ) from None
        return found

    def keep(self, pending: Pending, certificate: x509.Certificate) -> None:
        """Put a certificate that was examined, and its key, into `next.pem`. Raises `OSError`."""
        self._write(self.next, _pem(pending.key) + certificate.public_bytes(Encoding.PEM))

    def install(self, site: Site) -> None:
        """Let `next.pem` be the one in use: one rename. Raises `OSError`."""
        write_atomically(self.lines, self.mqtt_toml(site).encode(), 0o644)
        # Read and written anew: a rename alone would not have been synchronised.
        self._write(self.device, self.next.read_bytes())
        self.tidy()

    def tidy(self) -> None:
        """Remove what an enrolment that is over leaves."""
        for each in (self.next, self.pending, self.bootstrap):
            each.unlink(missing_ok=True)

    def settings(self, site: Site, pair: Path, *, bootstrap: bool = False) -> MqttConfig:
        """How to connect with the key and certificate of a file."""
        return MqttConfig(
            host=site.host,
            port=site.enrol_port if bootstrap else site.port,
            tls=True,
            ca_file=self.authorities,
            cert_file=pair,
            key_file=pair,
        )

    def mqtt_toml(self, site: Site) -> str:
        """The lines that make an agent this device."""
        device, authorities = (
            json.dumps(os.path.abspath(each)) for each in (self.device, self.authorities)
        )
        return (
            f"[device]\nid = {json.dumps(site.device)}\n\n"
            f"[mqtt]\nhost = {json.dumps(site.host)}\nport = {site.port}\ntls = true\n"
            f"ca_file = {authorities}\ncert_file = {device}\nkey_file = {device}\n"
        )

    def _write(self, path: Path, content: bytes) -> None:
        write_atomically(path, content, 0o600)


def renewal(certificate: x509.Certificate) -> dt.datetime:
    """From when on it is to be renewed."""
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return first + (last - first) * RENEW_AFTER


def _new(device: str) -> Pending:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(device))
    return Pending(key, builder.sign(key, hashes.SHA256()))


def _name(device: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)])


def _key(content: bytes) -> ec.EllipticCurvePrivateKey:
    found = load_pem_private_key(content, None)
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise ValueError("another kind of key")
    return found


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
