"""Who may read the broker's credentials, and where they may be sent without TLS."""

from __future__ import annotations

import datetime
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from agent.base.addresses import is_private
from agent.base.config import MqttConfig
from agent.base.errors import ConfigError
from agent.base.settings_file import as_toml, parse
from agent.uplink.client import load_credentials
from agent.uplink.credentials import odd_ends

LOCAL = [
    "localhost", "LOCALHOST", "localhost.", "box.localhost", "127.0.0.1", "127.8.9.10", "::1",
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.7.7",
    "fd00::1", "fe80::1", "fe80::1%eth0", "[fd00::1]", "::ffff:10.0.0.1", "broker.local",
    "broker.LAN", "a.b.home.arpa", "mqtt.internal", "mqtt.home", "broker.local.",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8", "172.15.0.1", "172.32.0.1", "192.169.0.1", "100.64.0.1", "11.0.0.1", "0.0.0.0", "::",
    "2001:db8::1", "::ffff:8.8.8.8", "64:ff9b::a00:1", "fec0::1", "broker", "broker.example",
    "localhost.example", "notlocalhost", "xlocal", "local.example", "example.com.", "134744072",
    "0x8.8.8.8", "010.0.0.1", "10.1", "127.1", "10.0.0.1.example", "10.0.0.1.nip.io", "lan.example",
    "a@b.local", "evil.example/x.local", "evil.example#.local", "evil.example\n.local", ".local",
    "a..local", "-.local", "ｌocalhost", "evil.example\0.local", " localhost", "192.168.1.1 ",
    "ff02::1", "224.0.0.1", "255.255.255.255", "localhost:1883@evil.example",
]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A key, its certificate and a password, as they should be."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "box-7")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(7).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=9))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pass"))
    public = certificate.public_bytes(Encoding.PEM)
    for file, content, mode in (
        ("password", b"secret \n", 0o600), ("key", pem, 0o600), ("locked", locked, 0o600),
        ("cert", public, 0o644), ("both", public + pem, 0o600), ("ca", public, 0o644),
    ):  # fmt: skip
        (tmp_path / file).write_bytes(content)
        (tmp_path / file).chmod(mode)
    return tmp_path


def password(place: Path, **more: Any) -> MqttConfig:
    mqtt = {"username": "box", "password_file": str(place / "password"), **more}
    return parse({"mqtt": mqtt}, "test").mqtt


def tls(place: Path, **more: Any) -> MqttConfig:
    files = {key: str(place / name) for key, name in
             (("ca_file", "ca"), ("cert_file", "cert"), ("key_file", "key"))}  # fmt: skip
    return parse({"mqtt": {"tls": True, **files, **more}}, "test").mqtt


def test_files_as_they_should_be_pass(place: Path) -> None:
    assert load_credentials(password(place)).password == "secret "
    assert load_credentials(tls(place)).tls is not None
    both = str(place / "both")
    assert load_credentials(tls(place, cert_file=both, key_file=both)).tls is not None


def test_a_certificate_that_was_replaced_with_its_key_is_noticed(place: Path) -> None:
    """Where they lie in one file, as `fleeting enrol` leaves them; not between two files."""
    both = place / "both"
    held = load_credentials(tls(place, cert_file=str(both), key_file=str(both)))
    assert not held.replaced
    both.write_bytes(both.read_bytes())
    assert held.replaced
    again = load_credentials(tls(place, cert_file=str(both), key_file=str(both)))
    both.unlink()
    assert not again.replaced, "nothing is there to start again with"
    apart = load_credentials(tls(place))
    (place / "cert").write_bytes((place / "cert").read_bytes())
    assert not apart.replaced
    assert not load_credentials(password(place)).replaced


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440, 0o640])
def test_roots_files_may_be_read_by_its_group_as_systemd_shows_credentials(
    place: Path, mode: int
) -> None:
    if os.geteuid():
        pytest.skip("needs root")
    for name in ("password", "key"):
        (place / name).chmod(mode)
    load_credentials(password(place))
    load_credentials(tls(place))


@pytest.mark.parametrize("mode", [0o440, 0o640])
def test_of_another_user_the_group_may_not_read(place: Path, mode: int) -> None:
    if os.geteuid():
        pytest.skip("needs root")
    for name in ("password", "key"):
        (place / name).chmod(mode)
        os.chown(place / name, 1234, 1234)
    for config in (password(place), tls(place)):
        with pytest.raises(ConfigError, match="may be read by others"):
            load_credentials(config)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o666, 0o660, 0o620, 0o602, 0o601, 0o777])
@pytest.mark.parametrize("name", ["password", "key"])
def test_what_others_may_read_or_change_is_refused(place: Path, name: str, mode: int) -> None:
    (place / name).chmod(mode)
    config = password(place) if name == "password" else tls(place)
    with pytest.raises(ConfigError) as error:
        load_credentials(config)
    text = str(error.value)
    assert text.startswith(f"mqtt.{name}_file {place / name} may be ")
    assert text.endswith(f"Run: chmod 600 {place / name}")
    (place / name).chmod(0o600)  # as it says
    load_credentials(config)


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
@pytest.mark.parametrize("name", ["ca", "cert"])
def test_certificates_that_others_may_change_are_refused(place: Path, name: str, mode: int) -> None:
    (place / name).chmod(mode)
    with pytest.raises(ConfigError, match=f"chmod go-w {place / name}"):
        load_credentials(tls(place))


def test_a_key_beside_its_certificate_is_a_key(place: Path) -> None:
    (place / "both").chmod(0o644)
    both = str(place / "both")
    for config in (tls(place, cert_file=both, key_file=both), tls(place, cert_file=both)):
        with pytest.raises(ConfigError, match="chmod 600"):
            load_credentials(config)


@pytest.mark.parametrize("name", ["password", "key", "ca"])
def test_a_folder_that_everybody_may_write_is_refused(place: Path, name: str) -> None:
    """Also where a link leads out of it or into it."""
    real, open_to_all = place / name, place / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    (open_to_all / "link").symlink_to(real)
    inside = open_to_all / "file"
    inside.write_bytes(real.read_bytes())
    inside.chmod(0o600)
    (place / "into").symlink_to(inside)
    for path in (open_to_all / "link", inside, place / "into"):
        given = {f"{name}_file": str(path)}
        config = password(place, **given) if name == "password" else tls(place, **given)
        with pytest.raises(ConfigError, match=f"chmod o-w {open_to_all}"):
            load_credentials(config)
    open_to_all.chmod(0o1777)  # sticky, as /tmp
    load_credentials(config)


def test_links_of_ones_own_are_followed(place: Path) -> None:
    """As certbot's `live` folder."""
    (place / "live").mkdir()
    for name in ("password", "key", "cert", "ca"):
        (place / "live" / name).symlink_to(f"../{name}")
    load_credentials(password(place / "live"))
    load_credentials(tls(place / "live"))
    (place / "key").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_credentials(tls(place / "live"))


@pytest.mark.parametrize("how", ["pipe", "folder", "nothing", "binary"])
def test_what_is_no_file_of_text_is_an_error_and_no_wait(place: Path, how: str) -> None:
    path = place / "password"
    path.unlink()
    if how == "pipe":
        os.mkfifo(path, 0o600)
    elif how == "folder":
        path.mkdir(mode=0o700)
    elif how == "binary":
        path.write_bytes(b"\xff\xfe")
        path.chmod(0o600)
    with pytest.raises(ConfigError, match="password"):
        load_credentials(password(place))


def test_an_encrypted_key_asks_nobody(place: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        load_credentials(tls(place, key_file=str(place / "locked")))


def test_another_certificates_key_is_said_to_be_one(place: Path) -> None:
    key = generate_private_key(SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    (place / "other").write_bytes(key)
    (place / "other").chmod(0o600)
    with pytest.raises(ConfigError, match=r"They must belong together: the key is another"):
        load_credentials(tls(place, key_file=str(place / "other")))


@pytest.mark.parametrize("host", LOCAL)
def test_on_private_networks_a_password_may_go_without_tls(place: Path, host: str) -> None:
    assert is_private(host)
    assert load_credentials(password(place, host=host)).password == "secret "


@pytest.mark.parametrize("host", PUBLIC)
def test_beyond_them_it_may_not_unless_a_person_says_so(place: Path, host: str) -> None:
    """Also where the settings would not have taken such a host."""
    assert not is_private(host)
    there = {"host": host}
    for config in (
        password(place).model_copy(update=there),
        parse({"mqtt": {"username": "box"}}, "test").mqtt.model_copy(update=there),
        parse({"mqtt": {"password_file": "/nowhere"}}, "test").mqtt.model_copy(update=there),
    ):
        with pytest.raises(ConfigError, match=r"mqtt\.tls = true.*plaintext_credentials = true"):
            load_credentials(config)
    allowed = password(place, plaintext_credentials=True).model_copy(update=there)
    assert load_credentials(allowed).password
    encrypted = load_credentials(password(place, tls=True).model_copy(update=there))
    assert isinstance(encrypted.tls, ssl.SSLContext)
    load_credentials(parse({}, "test").mqtt.model_copy(update=there))  # no credentials at all


@pytest.mark.parametrize(
    ("content", "password_is"),
    [(b"secret \n", "secret "), (b"secret\r\n", "secret"), (b"\xef\xbb\xbfsecret\n", "secret"),
     (b" a b ", " a b ")],
)  # fmt: skip
def test_a_password_ends_where_its_line_ends(place: Path, content: bytes, password_is: str) -> None:
    (place / "password").write_bytes(content)
    assert load_credentials(password(place)).password == password_is
    said = "ends with a space" in odd_ends(password_is)
    assert said == (password_is != password_is.strip())


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "is empty"), (b"\r\n", "is empty"), (b"\xff\xfes\0", "is not UTF-8"),
     (b"caf\xe9", "is not UTF-8")],
)  # fmt: skip
def test_what_cannot_be_a_password_is_refused(place: Path, content: bytes, says: str) -> None:
    (place / "password").write_bytes(content)
    with pytest.raises(ConfigError, match=says):
        load_credentials(password(place))


def test_the_key_is_the_sites_alone_and_shown() -> None:
    config = parse({}, "test")
    assert "plaintext_credentials = false" in as_toml(config)
    from agent.base.config import remote_fields

    assert "mqtt.plaintext_credentials" not in remote_fields()
