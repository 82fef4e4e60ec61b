"""The fleet's authorities at work: they sign, revoke, and know what is revoked."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from agent.base.files import write_atomically
from agent.uplink.enrol.bundle import Bundle
from agent.uplink.enrol.examine import common_name
from tools.common.errors import ToolError
from tools.fleet.broker import certificates
from tools.fleet.broker.folder import LISTS

REASONS = {
    "unspecified": x509.ReasonFlags.unspecified,
    "key_compromise": x509.ReasonFlags.key_compromise,
    "superseded": x509.ReasonFlags.superseded,
    "cessation": x509.ReasonFlags.cessation_of_operation,
}
"""Of a revocation (RFC 5280, section 5.3.1)."""


class Authority:
    """One of `ca` (devices) and `bootstrap-ca`, in FOLDER/ca."""

    def __init__(self, folder: Path, name: str) -> None:
        """Raises `ToolError`."""
        self._folder, self._name = folder, name
        self._list = folder / "ca" / LISTS[name]
        path = folder / "ca" / f"{name}.pem"
        try:
            self.certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except (OSError, ValueError):
            raise ToolError(
                f"{path} cannot be read. Make the authorities first: fleeting-fleet ca {folder}."
            ) from None
        self._known: tuple[tuple[int, int], frozenset[int]] | None = None

    def issued(self, certificate: x509.Certificate) -> bool:
        """Whether it bears this authority's signature."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            return False
        return True

    @property
    def signs(self) -> bool:
        """Whether its private key is here."""
        return (self._folder / "ca" / f"{self._name}.key").is_file()

    def certify(self, key: ec.EllipticCurvePublicKey, device: str, days: float) -> x509.Certificate:
        """A certificate for a device's key. Raises `ToolError`."""
        return certificates.certify(self._pair(), key, device, days)

    def bootstrap(self, device: str, hours: float) -> certificates.Pair:
        """A key and a one-time certificate for it. Raises `ToolError`."""
        return certificates.client(self._pair(), device, hours / 24)

    def revoked(self, serial: int) -> bool:
        """Whether its list has this serial number. Raises `ToolError`: without a list nothing is
        known."""
        try:
            found = os.stat(self._list)
            stamp = found.st_mtime_ns, found.st_ino
            if self._known is None or self._known[0] != stamp:
                self._known = stamp, frozenset(each.serial_number for each in self._read())
        except OSError as error:
            raise ToolError(f"{self._list} cannot be read: {error.strerror}.") from None
        return serial in self._known[1]

    def revoke(self, serials: list[int], reason: str, now: int) -> list[Path]:
        """Put certificates on the list, and the list beside the broker; those that are on it stay
        as they are. Returns the files written. Raises `ToolError`."""
        try:
            with _alone(self._list.parent):
                listed = self._read()
                revoked = {each.serial_number: _entry(each) for each in listed}
                for serial in serials:
                    revoked.setdefault(serial, (now, REASONS[reason]))
                content = certificates.revocations(self._pair(), revoked, listed)
                written = [self._list]
                write_atomically(self._list, content, 0o644)
                broker = self._folder / "broker"
                if broker.is_dir():
                    written.append(broker / self._list.name)
                    write_atomically(written[-1], content, 0o644)
        except OSError as error:
            raise ToolError(
                f"{error.filename or self._list} cannot be written: {error.strerror}. Nothing is "
                "certain to be revoked: run it again."
            ) from None
        return written

    def _read(self) -> x509.CertificateRevocationList:
        try:
            found = x509.load_pem_x509_crl(self._list.read_bytes())
            key = self.certificate.public_key()
            assert isinstance(key, ec.EllipticCurvePublicKey)
            if not found.is_signature_valid(key):
                raise ValueError("signature")
        except ValueError:
            raise ToolError(
                f"{self._list} is damaged or another authority's. Restore it from a backup."
            ) from None
        return found

    def _pair(self) -> certificates.Pair:
        place = self._folder / "ca"
        return certificates.load(place / f"{self._name}.pem", place / f"{self._name}.key")


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Whoever else changes a list waits (flock(2)). Raises `OSError`."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _entry(listed: x509.RevokedCertificate) -> tuple[int, x509.ReasonFlags]:
    try:
        reason = listed.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        reason = x509.ReasonFlags.unspecified
    return int(listed.revocation_date_utc.timestamp()), reason


def make_bundle(
    folder: Path, device: str, *, host: str, port: int, enrol_port: int, hours: float, now: int
) -> Path:
    """FOLDER/bootstrap/ID.enrol: what a device needs to ask for its certificate. One that was made
    before for this device is revoked first. Raises `ToolError`."""
    certificates.check_device(device)
    target = folder / "bootstrap" / f"{device}.enrol"
    signer = Authority(folder, "bootstrap-ca")
    before = bundled(target)
    if before is not None and not signer.revoked(before.serial_number):
        signer.revoke([before.serial_number], "superseded", now)
    pair = signer.bootstrap(device, hours)
    try:
        content = Bundle(
            device=device,
            host=host,
            port=port,
            enrol_port=enrol_port,
            authorities=(folder / "ca" / "ca.pem").read_text(encoding="ascii"),
            certificate=pair.certificate_pem.decode(),
            key=pair.key_pem.decode(),
        ).whole()
        target.parent.mkdir(mode=0o700, exist_ok=True)
        write_atomically(target, content.encode(), 0o600)
    except OSError as error:
        raise ToolError(f"{target} cannot be written: {error.strerror}.") from None
    except ValueError:
        raise ToolError(f"{host!r}, {port} or {enrol_port} is no broker's address.") from None
    return target


def bundled(path: Path) -> x509.Certificate | None:
    """The bootstrap certificate in a bundle of ours; None where there is none or it is damaged."""
    try:
        text = tomllib.loads(path.read_text(encoding="utf-8"))["certificate"]
        return x509.load_pem_x509_certificate(text.encode())
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def certificate_of(path: Path) -> x509.Certificate | None:
    """None where there is none or it is damaged."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None


def on_disk(folder: Path, device: str) -> list[x509.Certificate]:
    """The device's certificate that `fleeting-fleet device` made, if there is one."""
    found = certificate_of(folder / "devices" / device / "device.pem")
    return [found] if found is not None and common_name(found) == device else []
