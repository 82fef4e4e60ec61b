"""The table `enrolments`: one row per device and request."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tools.fleet.store import Row, Store

_OF = "WHERE device = ? AND csr_sha256 = ?"


def one(store: Store, device: str, number: str) -> Row | None:
    """`number`: SHA-256 of the request's DER."""
    rows = store.execute(f"SELECT * FROM enrolments {_OF}", (device, number))
    return rows[0] if rows else None


def add(
    store: Store, *, device: str, csr_sha256: str, csr: str, fingerprint: str, kind: str,
    voucher: str, now: int,
) -> None:  # fmt: skip
    """A request that nobody has decided yet."""
    store.execute(
        "INSERT INTO enrolments (device, csr_sha256, csr, fingerprint, kind, voucher, state,"
        " received) VALUES (?, ?, ?, ?, ?, ?, 'waiting', ?)",
        (device, csr_sha256, csr, fingerprint, kind, voucher, now),
    )


def undecided(store: Store, device: str | None = None) -> list[Row]:
    """Waiting requests, oldest first."""
    where, params = ("AND device = ?", (device,)) if device is not None else ("", ())
    return store.execute(
        f"SELECT * FROM enrolments WHERE state = 'waiting' {where}"
        " ORDER BY received, device, csr_sha256",
        params,
    )


def waiting(store: Store, device: str) -> int:
    """How many keys wait under a name."""
    sql = "SELECT COUNT(*) FROM enrolments WHERE device = ? AND state = 'waiting'"
    return int(store.tuples(sql, (device,))[0][0])


def served(store: Store, device: str, voucher: str) -> bool:
    """Whether a bootstrap certificate is used up. `voucher`: its serial, hex."""
    return bool(
        store.tuples(
            "SELECT 1 FROM enrolments WHERE device = ? AND voucher = ? AND kind = 'bootstrap'"
            " AND certificate IS NOT NULL",
            (device, voucher),
        )
    )


def latest(store: Store, device: str) -> tuple[int, int] | None:
    """When the newest certificate was given, Unix seconds, and its serial."""
    rows = store.tuples(
        "SELECT decided_at, serial FROM enrolments WHERE device = ? AND certificate IS NOT NULL"
        " ORDER BY decided_at DESC, not_after DESC LIMIT 1",
        (device,),
    )
    return (int(rows[0][0]), int(rows[0][1], 16)) if rows else None


def approve(
    store: Store, device: str, number: str, certificate: x509.Certificate, now: int
) -> None:
    """Give a request its certificate; the device is no longer a revoked one."""
    end = int(certificate.not_valid_after_utc.timestamp())
    pem = certificate.public_bytes(Encoding.PEM).decode()
    store.execute(
        "UPDATE enrolments SET state = 'approved', reason = NULL, decided_at = ?, serial = ?,"
        f" certificate = ?, not_after = ?, answered_at = NULL {_OF}",
        (now, f"{certificate.serial_number:x}", pem, end, device, number),
    )
    store.execute(
        "INSERT INTO devices (device, first_seen, last_seen, certificate_end) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (device) DO UPDATE SET certificate_end = excluded.certificate_end,"
        " revoked_at = NULL",
        (device, now, now, end),
    )


def reject(store: Store, device: str, number: str, reason: str, now: int) -> None:
    """`reason`: a `Refusal`."""
    store.execute(
        "UPDATE enrolments SET state = 'rejected', reason = ?, decided_at = ?,"
        f" answered_at = NULL {_OF}",
        (reason, now, device, number),
    )


def reopen(store: Store, device: str, number: str, now: int) -> None:
    """A request that was rejected for the time being waits again."""
    store.execute(
        f"UPDATE enrolments SET state = 'waiting', reason = NULL, received = ? {_OF}",
        (now, device, number),
    )


def forget(store: Store, device: str, kept: int) -> None:
    """Delete all but the newest `kept` of a device's rejected requests."""
    store.execute(
        "DELETE FROM enrolments WHERE device = ? AND state = 'rejected' AND csr_sha256 NOT IN ("
        "SELECT csr_sha256 FROM enrolments WHERE device = ? AND state = 'rejected'"
        " ORDER BY decided_at DESC, csr_sha256 LIMIT ?)",
        (device, device, kept),
    )


def revoke(store: Store, device: str, now: int) -> None:
    """Mark a device and all its certificates; what waits is rejected."""
    with store.transaction():
        store.execute(
            "UPDATE enrolments SET state = 'revoked', revoked_at = ?"
            " WHERE device = ? AND certificate IS NOT NULL AND revoked_at IS NULL",
            (now, device),
        )
        store.execute(
            "UPDATE enrolments SET state = 'rejected', reason = 'revoked', decided_at = ?,"
            " answered_at = NULL WHERE device = ? AND state = 'waiting'",
            (now, device),
        )
        store.execute(
            "INSERT INTO devices (device, first_seen, last_seen, revoked_at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (device) DO UPDATE SET revoked_at = excluded.revoked_at",
            (device, now, now, now),
        )


def revoked_at(store: Store, device: str) -> int | None:
    """Unix seconds; None: it is not revoked."""
    rows = store.tuples("SELECT revoked_at FROM devices WHERE device = ?", (device,))
    return rows[0][0] if rows else None


def certified(store: Store, device: str | None = None) -> list[dict[str, Any]]:
    """Every request that has a certificate."""
    where, params = ("AND device = ?", (device,)) if device is not None else ("", ())
    return store.execute(
        f"SELECT * FROM enrolments WHERE certificate IS NOT NULL {where}"
        " ORDER BY not_after, device",
        params,
    )


def tell_again(store: Store, device: str, number: str) -> None:
    """The device asks once more: it has not heard."""
    store.execute(f"UPDATE enrolments SET answered_at = NULL {_OF}", (device, number))


def untold(store: Store) -> list[Row]:
    """Decided requests whose device is still to be told; of each device the latest decision comes
    last, and so stays retained."""
    return store.execute(
        "SELECT * FROM enrolments WHERE state <> 'waiting' AND answered_at IS NULL"
        " ORDER BY decided_at, csr_sha256"
    )


def told(store: Store, device: str, number: str, now: int) -> None:
    """The broker has acknowledged the answer."""
    store.execute(
        f"UPDATE enrolments SET answered_at = ? {_OF} AND state <> 'waiting'",
        (now, device, number),
    )
