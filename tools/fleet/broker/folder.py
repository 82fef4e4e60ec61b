"""A fleet's folder: the authorities, what they issued, a broker ready to start.

    FOLDER/ca/                  ca.pem ca.key operators-ca.pem operators-ca.key bootstrap-ca.pem
                                bootstrap-ca.key revoked.pem bootstrap-revoked.pem
    FOLDER/devices/ID/          device.pem device.key ca.pem mqtt.toml
    FOLDER/bootstrap/ID.enrol   see `tools.fleet.enrolment`
    FOLDER/operators/NAME/      operator.pem operator.key ca.pem
    FOLDER/broker/              mosquitto.conf acl-devices acl-operators acl-bootstrap broker.pem
                                broker.key ca.pem operators-ca.pem bootstrap-ca.pem revoked.pem
                                bootstrap-revoked.pem data/

Every one of these appears whole or not at all, and none is ever overwritten but the two revocation
lists, which `fleeting-fleet revoke` replaces.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pwd
import secrets
import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.base.files import sync_folder, write_atomically
from tools.common.errors import ToolError
from tools.fleet.broker import certificates
from tools.fleet.broker.certificates import Pair

HERE = Path(__file__).resolve().parent
DEVICE_PORT = 8883
OPERATOR_PORT = 8884
BOOTSTRAP_PORT = 8885
LISTS = {"ca": "revoked.pem", "bootstrap-ca": "bootstrap-revoked.pem"}
"""Authority -> its revocation list."""
_INSTALLED = "/etc/mosquitto/fleeting/"
"""Where the example configuration expects its files."""
_STORE = "/var/lib/mosquitto/"


def make_authorities(folder: Path, days: int = certificates.AUTHORITY_DAYS) -> Path:
    """The authorities and their empty revocation lists, in `folder`/ca. Raises `ToolError`."""
    devices = certificates.authority(f"Fleeting devices {secrets.token_hex(4)}", days)
    operators = certificates.authority(f"Fleeting operators {secrets.token_hex(4)}", days)
    bootstrap = certificates.authority(f"Fleeting bootstrap {secrets.token_hex(4)}", days)
    return _appear(
        folder / "ca",
        {
            "ca.pem": devices.certificate_pem,
            "ca.key": devices.key_pem,
            "operators-ca.pem": operators.certificate_pem,
            "operators-ca.key": operators.key_pem,
            "bootstrap-ca.pem": bootstrap.certificate_pem,
            "bootstrap-ca.key": bootstrap.key_pem,
            LISTS["ca"]: certificates.revocations(devices, {}),
            LISTS["bootstrap-ca"]: certificates.revocations(bootstrap, {}),
        },
    )


def add_device(
    folder: Path,
    name: str,
    *,
    host: str,
    port: int = DEVICE_PORT,
    days: int = certificates.DEVICE_DAYS,
    installed: Path | None = None,
) -> Path:
    """A device's certificate, and the lines for its configuration. Raises `ToolError`.

    `installed`: where its files will lie on the device; null: where they lie here.
    """
    pair = certificates.client(_devices(folder), certificates.check_device(name), days)
    target = folder / "devices" / name
    settings = device_toml(name, host, port, installed or target.resolve())
    return _appear(
        target,
        {
            "device.pem": pair.certificate_pem,
            "device.key": pair.key_pem,
            "ca.pem": _read(folder / "ca" / "ca.pem"),
            "mqtt.toml": settings.encode(),
        },
    )


def device_toml(name: str, host: str, port: int, place: Path) -> str:
    """The lines that make an agent this device; TOML's basic strings are JSON's."""
    return (
        f"[device]\nid = {json.dumps(name)}\n\n[mqtt]\nhost = {json.dumps(host)}\nport = {port}\n"
        f"tls = true\nca_file = {json.dumps(str(place / 'ca.pem'))}\n"
        f"cert_file = {json.dumps(str(place / 'device.pem'))}\n"
        f"key_file = {json.dumps(str(place / 'device.key'))}\n"
    )


def add_operator(folder: Path, name: str, days: int = certificates.DEVICE_DAYS) -> Path:
    """An operator's certificate. Raises `ToolError`."""
    signer = certificates.load(
        folder / "ca" / "operators-ca.pem", folder / "ca" / "operators-ca.key"
    )
    pair = certificates.client(signer, certificates.check_operator(name), days)
    return _appear(
        folder / "operators" / name,
        {
            "operator.pem": pair.certificate_pem,
            "operator.key": pair.key_pem,
            "ca.pem": _read(folder / "ca" / "ca.pem"),  # the broker's certificate is of this one
        },
    )


def make_broker(
    folder: Path,
    hosts: Sequence[str] = (),
    *,
    bind: str = "",
    port: int = DEVICE_PORT,
    operator_port: int = OPERATOR_PORT,
    bootstrap_port: int = BOOTSTRAP_PORT,
    days: int = certificates.DEVICE_DAYS,
) -> Path:
    """A broker's certificate and a configuration that starts as it is. Raises `ToolError`.

    `hosts`: how devices reach it; empty: this machine's name. It is always reachable as localhost.
    """
    names = list(dict.fromkeys([*(hosts or [socket.gethostname()]), "localhost", "127.0.0.1"]))
    pair = certificates.server(_devices(folder), names, days)
    target = folder / "broker"
    return _appear(
        target,
        {
            "broker.pem": pair.certificate_pem,
            "broker.key": pair.key_pem,
            **{
                name: _read(folder / "ca" / name)
                for name in ("ca.pem", "operators-ca.pem", "bootstrap-ca.pem", *LISTS.values())
            },
            **{
                name: _read(HERE / name)
                for name in ("acl-devices", "acl-operators", "acl-bootstrap")
            },
            "mosquitto.conf": _configuration(
                target.resolve(), bind, (port, operator_port, bootstrap_port)
            ).encode(),
        },
        empty="data",
    )


def _configuration(target: Path, bind: str, ports: tuple[int, int, int]) -> str:
    """The example, with this folder's paths and the ports and the user of whoever asks."""
    where = f" {bind}" if bind else ""
    known = (DEVICE_PORT, OPERATOR_PORT, BOOTSTRAP_PORT)
    replaced = {
        **{
            f"listener {before}\n": f"listener {after}{where}\n"
            for before, after in zip(known, ports, strict=True)
        },
        _INSTALLED: f"{target}/",
        f"persistence_location {_STORE}\n": f"persistence_location {target}/data/\n",
    }
    text = _read(HERE / "mosquitto.conf").decode()
    for before, after in replaced.items():
        if before not in text:
            raise ToolError(f"{HERE / 'mosquitto.conf'} has no {before.strip()!r}. Restore it.")
        text = text.replace(before, after)
    # Started by root, Mosquitto becomes this user before it reads the keys.
    owner = pwd.getpwuid(os.geteuid()).pw_name
    return text.replace("\nper_listener_settings", f"\nuser {owner}\nper_listener_settings", 1)


def _devices(folder: Path) -> Pair:
    return certificates.load(folder / "ca" / "ca.pem", folder / "ca" / "ca.key")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ToolError(f"{path} cannot be read: {error.strerror}.") from None


def _appear(target: Path, files: Mapping[str, bytes], empty: str = "") -> Path:
    """Write a folder beside its place and rename it: all of it is there, or nothing."""
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        target.parent.mkdir(parents=True, exist_ok=True)
        part.mkdir(mode=0o700)
        for name, content in files.items():
            write_atomically(part / name, content, 0o600 if name.endswith(".key") else 0o644)
        if empty:
            (part / empty).mkdir(mode=0o700)
        sync_folder(part)
        os.rename(part, target)  # fails where somebody was quicker: a full folder is in the way
        sync_folder(target.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            shutil.rmtree(part)
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise ToolError(
                f"{target} is there already and stays as it is. Remove it yourself to make anew."
            ) from None
        raise ToolError(f"{target} cannot be written: {error.strerror}.") from None
    return target
