"""What an operator decides: approval, refusal, revocation."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tools.common.errors import ToolError
from tools.fleet.broker import certificates
from tools.fleet.enrolment import records
from tools.fleet.enrolment.authority import Authority, bundled, on_disk
from tools.fleet.store import Row, Store

LEAST_DIGITS = 20
"""Of a fingerprint that is given in part: 80 bits."""
_DIGITS = set("0123456789abcdef")


def approve(
    store: Store, folder: Path, device: str, fingerprint: str | None, days: float, now: int
) -> Row:
    """Give the request that waits under this name its certificate. Returns its row. Raises
    `ToolError`, `StoreUnavailable`."""
    authority = Authority(folder, "ca")
    with store.transaction():
        row = _chosen(store, device, fingerprint)
        if row["kind"] == "bootstrap" and records.served(store, device, row["voucher"]):
            raise ToolError(
                f"The bootstrap certificate of {device} has served another key. Refuse this one; "
                "if the device is the right one, make it a new bundle."
            )
        key = x509.load_pem_x509_csr(str(row["csr"]).encode()).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        certificate = authority.certify(key, device, days)
        records.approve(store, device, row["csr_sha256"], certificate, now)
        for other in records.undecided(store, device):
            if other["voucher"] == row["voucher"]:
                records.reject(store, device, other["csr_sha256"], "used", now)
        found = records.one(store, device, row["csr_sha256"])
    assert found is not None
    return found


def matching(store: Store, lines: Iterable[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Of a list `ID FINGERPRINT`, as it was read off the devices: those that wait with this very
    key, and what is wrong with the others. Raises `ToolError`, `StoreUnavailable`."""
    good, bad = [], []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2:
            raise ToolError(f"Line {number} is not `ID FINGERPRINT`. Nothing was approved.")
        try:
            row = _chosen(store, certificates.check_device(words[0]), words[1])
        except ToolError as error:
            bad.append(f"line {number}: {error}")
        else:
            good.append((str(row["device"]), str(row["fingerprint"])))
    return good, bad


def refuse(store: Store, device: str, fingerprint: str | None, now: int) -> list[Row]:
    """Say no to what waits under this name, or to one key. Raises `ToolError`,
    `StoreUnavailable`."""
    with store.transaction():
        rows = (
            [_chosen(store, device, fingerprint)]
            if fingerprint
            else records.undecided(store, device)
        )
        if not rows:
            raise ToolError(f"Nothing waits under the name {device}.")
        for row in rows:
            records.reject(store, device, row["csr_sha256"], "operator", now)
    return rows


@dataclass(frozen=True, slots=True)
class Revoked:
    """What a revocation did."""

    serials: list[int]
    written: list[Path]


def revoke(store: Store, folder: Path, device: str, reason: str, now: int) -> Revoked:
    """Every certificate of a device that still holds, and its bundle. The lists come first: they
    count even where the database is away. Raises `ToolError`, `StoreUnavailable`."""
    certificates.check_device(device)
    lines: list[Path] = []
    devices, bootstrap = Authority(folder, "ca"), Authority(folder, "bootstrap-ca")
    bundle = bundled(folder / "bootstrap" / f"{device}.enrol")
    if bundle is not None:
        lines += bootstrap.revoke([bundle.serial_number], reason, now)
    disk = on_disk(folder, device)
    if disk:
        lines += devices.revoke([each.serial_number for each in disk], reason, now)
    rows = records.certified(store, device)
    serials = [int(row["serial"], 16) for row in rows if row["not_after"] > now]
    if serials:
        lines += devices.revoke(serials, reason, now)
    waits = records.waiting(store, device)
    if not (serials or disk or bundle is not None or waits):
        raise ToolError(
            f"No certificate of {device} is known here: neither in the database nor in {folder}."
        )
    records.revoke(store, device, now)
    found = {*serials, *(each.serial_number for each in disk)}
    return Revoked(sorted(found), list(dict.fromkeys(lines)))


def _chosen(store: Store, device: str, fingerprint: str | None) -> Row:
    """The one request that is meant."""
    rows = records.undecided(store, device)
    if fingerprint is not None:
        digits = fingerprint.lower().replace(":", "").removeprefix("sha256")
        if len(digits) < LEAST_DIGITS or not set(digits) <= _DIGITS:
            raise ToolError(
                f"{fingerprint[:80]!r} is no fingerprint: give at least its first {LEAST_DIGITS} "
                "digits."
            )
        rows = [row for row in rows if str(row["fingerprint"]).replace(":", "").startswith(digits)]
    if not rows:
        which = "no key with this fingerprint" if fingerprint else "nothing"
        raise ToolError(
            f"There waits {which} under the name {device}. See fleeting-fleet enrolments."
        )
    if len(rows) > 1:
        shown = ", ".join(str(row["fingerprint"]) for row in rows)
        raise ToolError(
            f"{len(rows)} keys wait under the name {device}: somebody else may have its bundle. "
            f"Read the fingerprint off the device and give --fingerprint. They are: {shown}."
        )
    return rows[0]


def now() -> int:
    """Unix seconds."""
    return int(time.time())
