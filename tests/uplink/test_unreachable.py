"""Why TLS does not come about: the same reason and remedy in the uplink's log and in `check`."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import logging
import re
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.base.config import AgentConfig
from agent.desk.audit._words import Words
from agent.desk.check_broker import Offer, connect
from agent.uplink.unreachable import DATE, TEXTS, Trouble, unreachable
from tests.uplink.conftest import DEVICE, agent_config, stepped_uplink
from tools.common.mosquitto import Mosquitto, free_port

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Authority:
    """Makes certificates below a folder."""

    def __init__(self, folder: Path, name: str, days: tuple[int, int] = (-1, 2)) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = self.make(name, authority=True, days=days)

    def make(
        self, name: str, *, names: tuple[str, ...] = ("127.0.0.1", "localhost"),
        days: tuple[int, int] = (-1, 2), authority: bool = False, self_signed: bool = False,
    ) -> Path:  # fmt: skip
        """A file of certificate and key, in force for these days from now."""
        key = self._key if authority else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if self_signed else self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + days[0] * DAY)
            .not_valid_after(NOW + days[1] * DAY)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    (key if self_signed else self._key).public_key()
                ),
                critical=False,
            )
            .add_extension(
                x509.KeyUsage(
                    not authority, False, False, False, False, authority, authority, False, False
                ),
                critical=True,
            )
        )
        if not authority:
            alternatives: list[x509.GeneralName] = []
            for each in names:
                with contextlib.suppress(ValueError):
                    alternatives.append(x509.IPAddress(ipaddress.ip_address(each)))
                    continue
                alternatives.append(x509.DNSName(each))
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), False)
        signed = builder.sign(key if self_signed else self._key, hashes.SHA256())
        path = self._folder / f"{name}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + private)
        path.chmod(0o600)
        return path


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


def both(config: AgentConfig, caplog: pytest.LogCaptureFixture) -> Trouble:
    """What `check` says; the uplink says the same, and the audit knows its line."""
    found = connect(config.mqtt, f"{DEVICE}-check")
    assert isinstance(found, Trouble), found
    caplog.clear()
    with caplog.at_level(logging.WARNING), stepped_uplink(config) as (uplink, _):
        uplink.step(0.2)
    line = caplog.records[0].getMessage()
    what = re.sub(r" \(it(s own)? holds.*\)$", "", found.what)
    assert f": {what}. {found.advice} Next try" in line.replace("MQTT 3.1.1 is tried next. ", "")
    if config.mqtt.host == "127.0.0.1":
        judge = Words("uplink", config.mqtt.port, ())
        judge.judge(f"uplink: {line}\n".encode())
        assert judge.findings == []
    return found


def listener(port: int, certificate: Path, more: str = "") -> str:
    return f"\nlistener {port} 127.0.0.1\ncertfile {certificate}\nkeyfile {certificate}\n{more}\n"


def test_a_brokers_certificate_is_refused_for_its_own_reason(
    tmp_path: Path, authority: Authority, make_mosquitto: Callable[..., Mosquitto],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    stranger, over = Authority(tmp_path, "stranger"), Authority(tmp_path, "over", days=(-9, -2))
    late = free_port()
    made = {
        "has expired": authority.make("old", days=(-9, -2)),
        "is not yet valid": authority.make("early", days=(3, 9)),
        "for another IP address": authority.make("host", names=("other.example",)),
        "is self-signed": authority.make("own", self_signed=True),
        "not from an authority that this machine trusts": stranger.make("strange"),
        "": authority.make("good"),
    }
    ports = {text: free_port() for text in made}
    lines = "".join(listener(ports[text], path) for text, path in made.items())
    lines += listener(late, over.make("fresh"))
    broker = make_mosquitto(f"allow_anonymous true\n{lines}")
    broker.start()
    outlived = agent_config(tmp_path, late, tls=True, ca_file=str(over.file))
    assert "(its own holds from" in both(outlived, caplog).what
    remedies = set()
    for text, port in ports.items():
        config = agent_config(tmp_path, port, tls=True, ca_file=str(authority.file))
        if not text:
            assert isinstance(connect(config.mqtt, "x-check"), Offer)
            continue
        found = both(config, caplog)
        assert text in found.what
        remedies.add(found.advice)
        if "expired" in text:
            assert f"(it holds from {NOW - 9 * DAY:%Y-%m-%d} to {NOW - 2 * DAY:%Y-%m-%d})" in (
                found.what
            )
    assert len(remedies) == len(ports) - 1
    config = agent_config(tmp_path, broker.port, tls=True, ca_file=str(authority.file))
    assert both(config, caplog).what == "the connection was closed in the TLS handshake"
    plain = both(agent_config(tmp_path, ports[""]), caplog)
    assert "TLS" in plain.what + plain.advice
    named = {"host": "localhost", "tls": True, "ca_file": str(authority.file)}
    config = agent_config(tmp_path, ports["for another IP address"], **named)
    elsewhere = connect(config.mqtt, "x-check")
    assert isinstance(elsewhere, Trouble)
    assert elsewhere.what == "the broker's certificate is for another host name"


def test_what_a_broker_says_of_this_devices_certificate(
    tmp_path: Path, authority: Authority, make_mosquitto: Callable[..., Mosquitto],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    port, old_port = free_port(), free_port()
    asks = f"cafile {authority.file}\nrequire_certificate true"
    good = authority.make("good")
    broker = make_mosquitto(
        "allow_anonymous true\n"
        + listener(port, good, asks)
        + listener(old_port, good, f"{asks}\ntls_version tlsv1.2")
    )
    broker.start()
    stranger = Authority(tmp_path, "stranger")

    def config(own: Path | None, at: int = port) -> AgentConfig:
        files = {} if own is None else {"cert_file": str(own), "key_file": str(own)}
        return agent_config(tmp_path, at, tls=True, ca_file=str(authority.file), **files)

    assert isinstance(connect(config(authority.make(DEVICE)).mqtt, "x-check"), Offer)
    for at in (port, old_port):
        none = both(config(None, at), caplog)
        assert "mqtt.cert_file" in none.advice
        assert "certificate" in none.what + none.advice
        expired = both(config(authority.make("over", days=(-9, -2)), at), caplog)
        assert expired.what == "this device's certificate has expired"
        strange = both(config(stranger.make("strange"), at), caplog)
        assert "this device's certificate" in strange.what
        assert "authority" in strange.advice


@contextlib.contextmanager
def server(answer: Callable[[socket.socket], object]) -> Iterator[int]:
    """Answers every connection so; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    given = listening.accept()[0]
                    with contextlib.suppress(OSError), given:
                        given.settimeout(5)
                        answer(given)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(20)


def test_a_broker_with_old_tls_only(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.make("good"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with server(lambda sock: context.wrap_socket(sock, server_side=True)) as port:
        config = agent_config(tmp_path, port, tls=True, ca_file=str(authority.file))
        assert "no TLS version" in both(config, caplog).what


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"\x15\x03\x03\x00\x02\x02\x46", "that port speaks TLS"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "a web server"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak MQTT"),
        (b"", "closes the connection"),
    ],
)
def test_what_is_no_mqtt_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: bytes, text: str
) -> None:
    def speak(sock: socket.socket) -> None:
        sock.recv(100)
        sock.sendall(answer)

    with server(speak) as port:
        assert text in both(agent_config(tmp_path, port), caplog).what


def test_a_server_that_answers_tls_with_words(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with server(lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        config = agent_config(tmp_path, port, tls=True, ca_file=str(authority.file))
        assert both(config, caplog).what == "what listens there does not speak TLS"


def failed(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


@pytest.mark.parametrize("now", [0.0, 12_345_678.0, 1_700_000_000.0])
def test_a_clock_that_is_certainly_wrong_is_what_is_to_be_mended(
    monkeypatch: pytest.MonkeyPatch, now: float
) -> None:
    monkeypatch.setattr(time, "time", lambda: now)
    day = datetime.datetime.fromtimestamp(now, datetime.UTC).strftime("%Y-%m-%d")
    for error in (failed(9), failed(10)):
        found = unreachable(error, reached=True, tls=True)
        assert found.advice == f"This machine's clock says {day}, which is wrong: set it (NTP)."


@pytest.mark.parametrize("code", range(1, 100))
def test_every_reason_of_openssl_has_a_remedy_of_our_own(code: int) -> None:
    found = unreachable(failed(code), reached=True, tls=True)
    assert found.what in TEXTS
    assert any(each.partition(DATE)[0] in found.advice for each in TEXTS)
    assert "certificate" in found.what


def named(reason: str, kind: Any = ssl.SSLError) -> ssl.SSLError:
    error: ssl.SSLError = kind(1, "library's text")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "asks for a client certificate"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "says that this device's certificate has expired"),
        ("SSLV3_ALERT_CERTIFICATE_REVOKED", "was revoked"),
        ("TLSV1_ALERT_UNKNOWN_CA", "refuses this device's certificate"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "refuses this device's certificate"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "no TLS version"),
        ("UNSUPPORTED_PROTOCOL", "no TLS version"),
        ("DH_KEY_TOO_SMALL", "weaker"),
        ("TLSV1_UNRECOGNIZED_NAME", "serves no such host name"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "ends the TLS handshake"),
    ],
)
def test_alerts(name: str, text: str) -> None:
    now = NOW.timestamp()
    found = unreachable(named(name), reached=True, tls=True, own=(now - 1e6, now + 1e6))
    assert text in found.what
    assert "library" not in found.what + found.advice
    over = unreachable(named("SSLV3_ALERT_HANDSHAKE_FAILURE"), reached=True, tls=True, own=(1, 2))
    assert over.what == "this device's certificate has expired"
