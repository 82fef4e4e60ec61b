"""A fleet's folder with a database; a Mosquitto of its configuration, and the service beside it."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from agent.base.report import to_json
from agent.uplink.enrol.bundle import read_bundle
from agent.uplink.enrol.identity import Identity
from agent.uplink.enrol.messages import Request, encode, vouched
from agent.uplink.enrol.run import Session
from tests.uplink.conftest import eventually
from tools.common.mosquitto import free_port, installed, listens, program, terminate
from tools.fleet import settings
from tools.fleet.broker import folder as broker_folder
from tools.fleet.broker.certificates import Pair
from tools.fleet.enrolment.authority import make_bundle
from tools.fleet.enrolment.intake import Intake
from tools.fleet.enrolment.serve import Service
from tools.fleet.store import Store, open_store

ID = "box-7"


class Fleet:
    """A folder and its database; times are real unless given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.operator_port, self.bootstrap_port = 8883, 8884, 8885
        broker_folder.make_authorities(folder)

    @property
    def url(self) -> str:
        return settings.store_url(self.folder, settings.load(self.folder))

    def store(self) -> Store:
        return open_store(self.url)

    def bundle(self, device: str = ID) -> Path:
        return make_bundle(
            self.folder, device, host="localhost", port=self.port,
            enrol_port=self.bootstrap_port, hours=72, now=int(time.time()),
        )  # fmt: skip


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path / "fleet")


@pytest.fixture
def store(fleet: Fleet) -> Iterator[Store]:
    with fleet.store() as opened:
        yield opened


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def csr_for(secret: ec.EllipticCurvePrivateKey, device: str = ID) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(secret, hashes.SHA256()).public_bytes(Encoding.DER)


def request(der: bytes, voucher: Pair, device: str = ID) -> bytes:
    """As a device asks."""
    proof = voucher.key.sign(vouched(device, der), ec.ECDSA(hashes.SHA256()))
    certificate = voucher.certificate.public_bytes(Encoding.DER)
    return to_json(Request(csr=encode(der), certificate=encode(certificate), proof=encode(proof)))


def pair_in(bundle: Path) -> Pair:
    """Key and certificate of a bundle."""
    found = read_bundle(bundle)
    secret = load_pem_private_key(found.key.encode(), None)
    assert isinstance(secret, ec.EllipticCurvePrivateKey)
    return Pair(x509.load_pem_x509_certificate(found.certificate.encode()), secret)


class LiveFleet(Fleet):
    """With a broker that can be stopped, and the service that takes requests in."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port, self.operator_port, self.bootstrap_port = (free_port() for _ in range(3))
        broker_folder.make_broker(
            folder, ["localhost"], bind="127.0.0.1", port=self.port,
            operator_port=self.operator_port, bootstrap_port=self.bootstrap_port,
        )  # fmt: skip
        broker_folder.add_operator(folder, "enrolment")
        (folder / "fleet.toml").write_text(f"[broker]\nport = {self.operator_port}\n")
        self._broker: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()
        self.said: list[str] = []
        self._thread = threading.Thread(target=self._serve)

    def start(self) -> None:
        conf = str(self.folder / "broker" / "mosquitto.conf")
        self._broker = subprocess.Popen(
            [program(), "-c", conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(lambda: listens(self.port) and listens(self.bootstrap_port), "Mosquitto")
        if not self._thread.is_alive() and not self._stop.is_set():
            self._thread.start()

    def stop_broker(self) -> None:
        broker, self._broker = self._broker, None
        if broker is not None:
            terminate(broker)

    def restart(self) -> None:
        self.stop_broker()
        self.start()

    def reload(self) -> None:
        """Let the broker read its lists again."""
        assert self._broker is not None
        self._broker.send_signal(signal.SIGHUP)

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(60)
        self.stop_broker()

    def _serve(self) -> None:
        with self.store() as opened:
            intake = Intake(opened, self.folder)
            given = settings.load(self.folder)
            service = Service(opened, self.folder, given, intake, self.said.append)
            service.run(self._stop.is_set)


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveFleet]:
    if installed() is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    monkeypatch.setattr("tools.fleet.enrolment.serve._TICK", 0.05)
    monkeypatch.setattr("tools.fleet.enrolment.serve._PAUSE", 0.1)
    monkeypatch.setattr("agent.uplink.enrol.converse._PAUSES", (0.1, 0.2))
    made = LiveFleet(tmp_path / "fleet")
    made.start()
    yield made
    made.close()


class Box:
    """A device that is to be enrolled, with a clock that is set."""

    def __init__(self, folder: Path) -> None:
        self.identity = Identity(folder)
        self.said: list[str] = []
        self.clock: Callable[[], float | None] = time.time

    def session(self, wait: float | None = 60.0) -> Session:
        return Session(self.identity, wait, clock=self.clock, say=self.said.append)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "box")
