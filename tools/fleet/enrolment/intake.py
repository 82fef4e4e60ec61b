"""Requests for certificates, from the broker into the database; renewals are granted at once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from agent.uplink.enrol.messages import Refusal, fingerprint
from tools.fleet.broker import certificates
from tools.fleet.enrolment import records
from tools.fleet.enrolment.authority import Authority, on_disk
from tools.fleet.enrolment.request import Asked, RefusedError, examine
from tools.fleet.store import Store

SUBSCRIPTIONS = ("fleeting/1/p/+/csr", "fleeting/1/p/+/renew")
MAX_WAITING = 5
"""Keys of one device that may wait for approval at a time."""
_KEPT = 20
"""Requests of one device that were rejected and are remembered."""
_FOR_NOW = frozenset({"too_many", "too_early"})
"""Reasons that time takes away: the same request is decided anew."""
RENEW_FROM = 0.5
"""Share of a certificate's life before which it is not renewed; devices ask at two thirds."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a message."""

    device: str = ""
    refused: str = ""
    """Why it is none, for the quarantine; empty: it is one."""
    state: str = ""
    """Of the request now: waiting, approved, rejected, revoked; empty where there is none."""


class Intake:
    """Takes requests in. One for a process."""

    def __init__(
        self, store: Store, folder: Path, days: float = certificates.ENROLLED_DAYS
    ) -> None:
        """`days`: of a renewed certificate. Raises `ToolError` where the folder has no
        authorities."""
        self._store, self._folder, self._days = store, folder, days
        self.devices = Authority(folder, "ca")
        self.bootstrap = Authority(folder, "bootstrap-ca")

    def take(self, topic: str, body: bytes, now: int) -> Taken:
        """One message; `now`: Unix seconds. Raises `StoreUnavailable`, `ToolError`."""
        if not body:
            return Taken()  # a retained request that was taken back
        try:
            asked = examine(topic, body, self.devices, self.bootstrap, now)
        except RefusedError as error:
            return Taken(refused=str(error))
        with self._store.transaction():
            return Taken(asked.device, state=self._decide(asked, now))

    def _decide(self, asked: Asked, now: int) -> str:
        number = hashlib.sha256(asked.der).hexdigest()
        known = records.one(self._store, asked.device, number)
        for_now = known is not None and known["reason"] in _FOR_NOW
        if known is not None and known["state"] != "waiting" and not for_now:
            records.tell_again(self._store, asked.device, number)
            return str(known["state"])
        refusal = self._refusal(asked, known is None or for_now, now)
        if known is None:
            self._store_new(asked, number, now)
        elif for_now:
            records.reopen(self._store, asked.device, number, now)
        if refusal is not None:
            records.reject(self._store, asked.device, number, refusal, now)
            records.forget(self._store, asked.device, _KEPT)
            return "rejected"
        if asked.renewal and self.devices.signs:
            certificate = self.devices.certify(asked.key, asked.device, self._days)
            records.approve(self._store, asked.device, number, certificate, now)
            return "approved"
        return "waiting"

    def _store_new(self, asked: Asked, number: str, now: int) -> None:
        records.add(
            self._store,
            device=asked.device,
            csr_sha256=number,
            csr=asked.csr.public_bytes(Encoding.PEM).decode(),
            fingerprint=fingerprint(asked.key),
            kind="renewal" if asked.renewal else "bootstrap",
            voucher=f"{asked.voucher.serial_number:x}",
            now=now,
        )

    def _refusal(self, asked: Asked, new: bool, now: int) -> Refusal | None:
        authority = self.devices if asked.renewal else self.bootstrap
        revoked_at = records.revoked_at(self._store, asked.device)
        issued = certificates.issued_at(asked.voucher)
        if authority.revoked(asked.voucher.serial_number):
            return "revoked"
        if revoked_at is not None and (asked.renewal or issued < revoked_at):
            # Only what an operator made since then brings a device back.
            return "revoked"
        if asked.renewal:
            return self._renewal_refusal(asked, now)
        if records.served(self._store, asked.device, f"{asked.voucher.serial_number:x}"):
            return "used"
        if new and records.waiting(self._store, asked.device) >= MAX_WAITING:
            return "too_many"
        return None

    def _renewal_refusal(self, asked: Asked, now: int) -> Refusal | None:
        latest = self._latest(asked.device)
        if latest is not None and latest != asked.voucher.serial_number:
            return "superseded"
        first, last = asked.voucher.not_valid_before_utc, asked.voucher.not_valid_after_utc
        life = (last - first).total_seconds()
        if now < first.timestamp() + RENEW_FROM * life:
            return "too_early"
        return None

    def _latest(self, device: str) -> int | None:
        """Serial of the device's newest certificate; None where none of them is known here."""
        made = [
            (certificates.issued_at(each), each.serial_number)
            for each in on_disk(self._folder, device)
        ]
        found = records.latest(self._store, device)
        return max([*made, *([found] if found else [])], default=(0, None))[1]
