"""What devices are still to be told, for whoever holds the connection to the broker."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent.base.report import to_json
from agent.uplink.enrol.messages import Answer, answer_topic, encode
from tools.fleet.enrolment import records
from tools.fleet.store import Store


@dataclass(frozen=True, slots=True)
class Due:
    """A message to publish, QoS 1 and retained."""

    device: str
    number: str
    """SHA-256 of the request."""
    topic: str
    body: bytes


def due(store: Store) -> list[Due]:
    """Publish these in this order. Raises `StoreUnavailable`."""
    found = []
    for row in records.untold(store):
        number = str(row["csr_sha256"])
        if row["state"] == "approved":
            certificate = x509.load_pem_x509_certificate(str(row["certificate"]).encode())
            answer = Answer(
                request=number, certificate=encode(certificate.public_bytes(Encoding.DER))
            )
        else:
            answer = Answer(request=number, refused=row["reason"] or "revoked")
        found.append(Due(row["device"], number, answer_topic(row["device"]), to_json(answer)))
    return found


def done(store: Store, sent: Due, now: int) -> None:
    """The broker has acknowledged it. Raises `StoreUnavailable`."""
    records.told(store, sent.device, sent.number, now)
