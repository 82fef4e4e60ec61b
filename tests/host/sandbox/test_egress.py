"""The egress probe, against a real packet filter such as that of systemd's IPAddressDeny=."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.host.sandbox import kernel
from tests.host.sandbox.conftest import Inside

BPF = {"x86_64": 321, "aarch64": 280}
_PROG_LOAD, _PROG_ATTACH = 5, 8
_CGROUP_SKB, _EGRESS = 8, 1


def unified() -> Path | None:
    """Where the cgroup hierarchy v2 is mounted."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, place, kind = line.split()[:3]
            if kind == "cgroup2" and os.access(place, os.W_OK):
                return Path(place)
    return None


def bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    return kernel.syscall(
        BPF[kernel.processor()], command, ctypes.addressof(buffer), len(attributes)
    )


def filtered(group: Path) -> None:
    """No packet leaves this group: a program that answers 0 (linux/bpf.h)."""
    code = struct.pack("=BBhi", 0xB7, 0, 0, 0) + struct.pack("=BBhi", 0x95, 0, 0, 0)
    program, licence = (ctypes.create_string_buffer(each) for each in (code, b"Apache"))
    load = struct.pack(
        "=IIQQIIQII16sII", _CGROUP_SKB, 2, ctypes.addressof(program), ctypes.addressof(licence),
        0, 0, 0, 0, 0, b"", 0, _EGRESS,
    )  # fmt: skip
    handle = bpf(_PROG_LOAD, load)
    folder = os.open(group, os.O_RDONLY | os.O_DIRECTORY)
    try:
        bpf(_PROG_ATTACH, struct.pack("=IIII", folder, handle, _EGRESS, 0))
    finally:
        os.close(folder)
        os.close(handle)


@pytest.fixture
def group() -> Iterator[Path]:
    root = unified()
    if os.geteuid() != 0 or root is None or kernel.processor() not in BPF:
        pytest.skip("needs root and a cgroup v2 hierarchy")
    folder = root / f"fleeting-test-{os.getpid()}"
    try:
        folder.mkdir()
        filtered(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        pytest.skip(f"no packet filter per cgroup here: {error}")
    yield folder
    for _ in range(100):  # empty only when the last process in it is gone for good
        with contextlib.suppress(OSError):
            folder.rmdir()
            return
        time.sleep(0.05)


@pytest.mark.slow
def test_a_packet_filter_is_found(inside: Inside, group: Path) -> None:
    script = (
        "{}here = code(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "    .sendto(b'', ('127.0.0.1', 9)))\n"
        "found = enter_uplink([], [own], 1883)\n"
        "emit(confined=found.egress == 'confined', here=here)"
    )
    join = f"Path({str(group / 'cgroup.procs')!r}).write_text(str(os.getpid()))\n"
    assert inside(script.format(join))["confined"]
    outside = inside(script.format(""))
    assert not outside["confined"]
    assert outside["here"] == 0


def test_the_probe_needs_no_route_and_leaves_the_machine_alone(inside: Inside) -> None:
    """In an empty network namespace without a filter it reports none."""
    found = inside(
        "none = kernel.LIBC.unshare(0x40000000) != 0\n"
        "emit(none=none, refused=probe.no_datagram_elsewhere())"
    )
    if found["none"]:
        pytest.skip("no network namespace can be made here")
    assert not found["refused"]
