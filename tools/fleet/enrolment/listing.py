"""Every certificate of a fleet and when it ends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from tools.fleet.enrolment import records
from tools.fleet.enrolment.authority import Authority, bundled, certificate_of
from tools.fleet.store import Store


@dataclass(frozen=True, slots=True)
class Listed:
    """One certificate."""

    what: str
    """device, bootstrap, operator, broker, authority."""
    name: str
    serial: int
    end: int
    """Unix seconds."""
    revoked: bool

    def as_dict(self) -> dict[str, object]:
        return {
            "what": self.what,
            "name": self.name,
            "serial": f"{self.serial:x}",
            "not_after": self.end,
            "revoked": self.revoked,
        }


def listing(store: Store, folder: Path) -> list[Listed]:
    """Those of devices, of the folder's operators, broker and authorities, and bundles; the first
    to end first. Raises `ToolError`, `StoreUnavailable`."""
    devices, bootstrap = Authority(folder, "ca"), Authority(folder, "bootstrap-ca")
    found = {
        int(row["serial"], 16): Listed(
            "device", row["device"], int(row["serial"], 16), row["not_after"],
            devices.revoked(int(row["serial"], 16)),
        )
        for row in records.certified(store)
    }  # fmt: skip
    for what, pattern, authority in (
        ("device", "devices/*/device.pem", devices),
        ("bootstrap", "bootstrap/*.enrol", bootstrap),
        ("operator", "operators/*/operator.pem", None),
        ("broker", "broker/broker.pem", devices),
        ("authority", "ca/*ca.pem", None),
    ):
        for path in sorted(folder.glob(pattern)):
            certificate = bundled(path) if what == "bootstrap" else certificate_of(path)
            if certificate is None:
                continue
            name = path.stem if what in ("bootstrap", "authority", "broker") else path.parent.name
            serial = certificate.serial_number
            revoked = authority is not None and authority.revoked(serial)
            found[serial] = Listed(what, name, serial, _end(certificate), revoked)
    return sorted(found.values(), key=lambda each: (each.end, each.what, each.name))


def _end(certificate: x509.Certificate) -> int:
    return int(certificate.not_valid_after_utc.timestamp())
