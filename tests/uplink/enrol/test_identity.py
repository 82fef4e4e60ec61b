"""The files of an identity, and the bundle that begins it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from agent.base.errors import AgentError, ConfigError
from agent.uplink.client import load_credentials
from agent.uplink.enrol.bundle import Bundle, read_bundle
from agent.uplink.enrol.errors import EnrolError
from agent.uplink.enrol.identity import Identity
from tools.fleet.broker import certificates

ID = "box-7"
CA = certificates.authority("Fleet")
OTHER = certificates.authority("Other")


def bundle(device: str = ID, **changes: object) -> Bundle:
    pair = certificates.client(CA, device, 3)
    given = {
        "device": device, "host": "localhost", "port": 8883, "enrol_port": 8885,
        "authorities": CA.certificate_pem.decode(), "certificate": pair.certificate_pem.decode(),
        "key": pair.key_pem.decode(), **changes,
    }  # fmt: skip
    return Bundle.model_validate(given)


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    return Identity(tmp_path / "enrol")


def installed(identity: Identity) -> bytes:
    """Enrol without a fleet; the content of `device.pem`."""
    with identity.locked():
        identity.take_in(bundle())
        site = identity.site()
        assert site is not None
        pending = identity.request(ID)
        identity.keep(pending, certificates.certify(CA, pending.key.public_key(), ID, 30))
        identity.install(site)
    return identity.device.read_bytes()


def test_the_same_key_and_request_after_an_interruption(identity: Identity) -> None:
    with identity.locked():
        first = identity.request(ID)
    with identity.locked():
        again = identity.request(ID)
    assert again.der == first.der
    assert again.key.private_numbers() == first.key.private_numbers()
    assert first.csr.is_signature_valid
    assert stat.S_IMODE(identity.pending.stat().st_mode) == 0o600
    assert stat.S_IMODE(identity.folder.stat().st_mode) == 0o700


def test_the_key_leaves_with_no_request(identity: Identity) -> None:
    with identity.locked():
        pending = identity.request(ID)
    secret = pending.key.private_numbers().private_value.to_bytes(32, "big")
    assert secret not in pending.der
    assert pending.csr.public_key() == pending.key.public_key()


def test_what_is_installed_is_what_an_uplink_takes(identity: Identity) -> None:
    installed(identity)
    pair = identity.pair(identity.device)
    assert pair is not None
    assert pair.key.public_key() == pair.certificate.public_key()
    for name in ("device.pem", "enrol.toml"):
        assert stat.S_IMODE((identity.folder / name).stat().st_mode) == 0o600
    assert not {"bootstrap.pem", "pending.pem", "next.pem"} & {*os.listdir(identity.folder)}
    site = identity.site()
    assert site is not None
    assert load_credentials(identity.settings(site, identity.device)).tls is not None


def test_two_at_a_time_are_refused(identity: Identity) -> None:
    other = Identity(identity.folder)
    with identity.locked(), pytest.raises(EnrolError, match="Another"), other.locked():
        pass
    with other.locked():
        pass


def test_a_folder_that_others_may_write_is_refused(identity: Identity) -> None:
    identity.folder.mkdir()
    identity.folder.chmod(0o770)
    with pytest.raises(EnrolError, match="chmod 700"), identity.locked():
        pass


def test_a_key_that_others_may_read_is_refused(identity: Identity) -> None:
    installed(identity)
    identity.device.chmod(0o640 if os.geteuid() else 0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        identity.pair(identity.device)


@pytest.mark.parametrize("damage", [b"", b"x", b"-----BEGIN PRIVATE KEY-----\n"])
def test_damaged_files_are_named(identity: Identity, damage: bytes) -> None:
    whole = installed(identity)
    other = certificates.client(CA, ID).certificate_pem
    mixed = whole[: whole.index(b"-----BEGIN CERTIFICATE")] + other
    for content in (damage, mixed):
        identity.device.write_bytes(content)
        with pytest.raises(EnrolError, match=r"device\.pem is damaged"):
            identity.pair(identity.device)
    identity.pending.write_bytes(damage)
    identity.pending.chmod(0o600)
    with pytest.raises(EnrolError, match=r"pending\.pem is damaged"):
        identity.request(ID)


def test_a_folder_is_one_devices(identity: Identity) -> None:
    installed(identity)
    with identity.locked(), pytest.raises(EnrolError, match="is that of box-7"):
        identity.take_in(bundle("box-8"))


def written(folder: Path, content: str, mode: int = 0o600) -> Path:
    path = folder / "its.enrol"
    path.write_text(content)
    path.chmod(mode)
    return path


def test_a_bundle_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = bundle()
    assert read_bundle(written(tmp_path, made.whole())) == made.model_copy(
        update={
            name: f"{getattr(made, name).strip()}\n"
            for name in ("authorities", "certificate", "key")
        }
    )


def test_bundles_that_are_none_are_refused_by_name(tmp_path: Path) -> None:
    made = bundle()
    cases = {
        "": "look at",
        "x = ": "damaged",
        made.whole() + "more = 1\n": "look at more",
        made.whole().replace('"box-7"', '"box/7"'): "look at device",
        made.whole().replace('"box-7"', '"box-8"'): "another name",
        made.whole().replace("8885", "99999"): "look at enrol_port",
        bundle(key=OTHER.key_pem.decode()).whole(): "another certificate",
        bundle(authorities=made.certificate).whole(): "authority",
        bundle(certificate=made.key).whole(): "no bundle",
        "#" * 40_000: "too long",
    }
    for content, why in cases.items():
        with pytest.raises(EnrolError, match=why):
            read_bundle(written(tmp_path, content))
    with pytest.raises(AgentError, match="chmod 600"):
        read_bundle(written(tmp_path, made.whole(), 0o644))
    with pytest.raises(EnrolError, match="cannot be read"):
        read_bundle(tmp_path / "none")


def test_the_authoritys_key_is_in_no_bundle() -> None:
    secret = CA.key.private_numbers().private_value
    assert CA.certificate.public_bytes(Encoding.PEM).decode().strip() in bundle().whole()
    assert f"{secret:x}" not in bundle().whole()
    assert CA.key_pem.decode() not in bundle().whole()
