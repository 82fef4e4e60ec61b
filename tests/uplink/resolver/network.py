"""A network of its own with a name server, for the processes started in it: needs root.

`enter` gives this process an empty network namespace and an /etc of its own; `NameServer` answers
at 127.0.0.1:53.
"""

from __future__ import annotations

import ctypes
import fcntl
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from agent.host.sandbox import kernel
from tools.common.mosquitto import die_with_parent, program

_NEW_NETWORK, _NEW_MOUNTS = 0x40000000, 0x20000
_PRIVATE, _BIND = 0x44000, 0x1000
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1


def enter(etc: Path, hosts: str = "127.0.0.1 localhost\n") -> None:
    """Raises `OSError` where this is not permitted."""
    if kernel.LIBC.unshare(_NEW_NETWORK | _NEW_MOUNTS) != 0:
        raise OSError(ctypes.get_errno(), "no namespaces")
    _mount(b"none", b"/", _PRIVATE)
    for name in ("passwd", "group", "ld.so.cache"):
        if Path("/etc", name).exists():
            shutil.copy(Path("/etc", name), etc / name)
    (etc / "hosts").write_text(hosts)
    (etc / "nsswitch.conf").write_text("passwd: files\nhosts: files dns\n")
    (etc / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    _mount(bytes(etc), b"/etc", _BIND)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        loopback = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack("16xh14x", fcntl.ioctl(control, _GET_FLAGS, loopback))
        fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sh14x", b"lo", flags | _UP))


def _mount(source: bytes, target: bytes, flags: int) -> None:
    if kernel.LIBC.mount(source, target, None, ctypes.c_ulong(flags), None) != 0:
        raise OSError(ctypes.get_errno(), f"cannot mount {target!r}")


class NameServer:
    """Answers every question of type A with `address`; not at all while that is empty; with
    NXDOMAIN where the name is not `name`."""

    def __init__(self, name: str, address: str) -> None:
        self.name, self.address, self.asked = name.encode(), address, 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            question, client = self._socket.recvfrom(512)
            self.asked += 1
            if self.address:
                self._socket.sendto(self._answer(question), client)

    def _answer(self, packet: bytes) -> bytes:
        """RFC 1035, section 4; the name repeated by a pointer to the question."""
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1 : at + 1 + packet[at]])
            at += 1 + packet[at]
        question = packet[12 : at + 5]
        known = b".".join(labels).lower() == self.name
        answers = known and question[-4:-2] == b"\0\1"
        flags = 0x8180 if known else 0x8183
        head = struct.pack("!2sHHHHH", packet[:2], flags, 1, int(answers), 0, 0)
        if not answers:
            return head + question
        record = struct.pack("!HHHIH", 0xC00C, 1, 1, 0, 4) + socket.inet_aton(self.address)
        return head + question + record


def certificate(folder: Path, name: str, file: str) -> None:
    """`file`.pem and .key in `folder`, for `name`, signed by authority.pem, made if missing."""
    key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    commands = [
        f"req {key} -keyout {file}.key -out {file}.csr -subj /CN={file}",
        f"x509 -req -in {file}.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2"
        f" -out {file}.pem -extfile {file}.txt",
    ]
    if not (folder / "authority.pem").exists():
        commands.insert(
            0,
            f"req -x509 {key} -days 2 -keyout authority.key -out authority.pem -subj /CN=authority"
            " -addext keyUsage=critical,keyCertSign,cRLSign",
        )
    (folder / f"{file}.txt").write_text(f"subjectAltName={name}\n")
    for command in commands:
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)


def mosquitto(folder: Path, address: str, port: int, file: str) -> subprocess.Popen[bytes]:
    """With TLS by `certificate`."""
    path = folder / f"mosquitto-{address}-{file}.conf"
    path.write_text(
        f"user root\nlistener {port} {address}\nallow_anonymous true\nmax_queued_messages 0\n"
        f"certfile {folder}/{file}.pem\nkeyfile {folder}/{file}.key\n"
    )
    with path.with_suffix(".log").open("ab") as log:
        started = subprocess.Popen(
            [program(), "-v", "-c", str(path)], stdout=log, stderr=log, preexec_fn=die_with_parent
        )
    wait(lambda: _listens(address, port), f"Mosquitto listens at {address}")
    return started


def _listens(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def wait(true: Callable[[], object], what: str, within: float = 240.0) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.05)
