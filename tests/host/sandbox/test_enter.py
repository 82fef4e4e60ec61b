"""What each process can and cannot do in its sandbox."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from agent.host.sandbox import landlock, seccomp
from agent.host.sandbox.kernel import processor
from tests.host.sandbox.conftest import Inside


def abi() -> int:
    try:
        return landlock.version()
    except OSError:
        return 0


needs_seccomp = pytest.mark.skipif(
    not seccomp.known(processor()), reason="this processor's system calls are not known"
)
needs_landlock = pytest.mark.skipif(abi() < 1, reason="this kernel has no Landlock")
needs_ports = pytest.mark.skipif(abi() < 4, reason="this kernel's Landlock knows no ports")
needs_scopes = pytest.mark.skipif(abi() < 6, reason="this kernel's Landlock knows no scopes")

ESCAPES = """
results = {
    "tcp": code(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)),
    "udp6": code(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)),
    "raw": code(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
    "packet": code(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "vsock": code(lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)),
    "routes": code(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)),
    "hidden": code(lambda: kernel.syscall(seccomp._number("socket", kernel.processor()),
                                          (1 << 32) | socket.AF_INET, socket.SOCK_STREAM, 0)),
    "io_uring": code(lambda: kernel.syscall(425, 1, 0)),
    "terminal": code(lambda: __import__("fcntl").ioctl(0, 0x5412, b"x")),
    "fork": code(lambda: kernel.syscall(seccomp._number("clone", kernel.processor()),
                                        0x40000000 | signal.SIGCHLD, 0, 0, 0, 0)),
    "clone3": code(lambda: kernel.syscall(435, 0, 0)),
    **{name: code(lambda: kernel.syscall(seccomp._number(name, kernel.processor()), 0, 0, 0, 0, 0))
       for name in ("ptrace", "process_vm_writev", "bpf", "userfaultfd", "perf_event_open",
                    "keyctl", "unshare", "setns", "mount", "open_by_handle_at", "pidfd_getfd")},
}
"""


@needs_seccomp
def test_perceive_has_no_way_to_the_network(inside: Inside) -> None:
    found = inside(
        f"found = enter_perceive([own])\n{ESCAPES}\n"
        "results['server'] = code(lambda: socket.socket(socket.AF_UNIX).connect('/run/nobody'))\n"
        "emit(closed=found.network == 'closed', layers=found.layers, results=results,\n"
        "    uevent=code(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15)),\n"
        "    pair=code(lambda: socket.socketpair(socket.AF_UNIX)))"
    )
    assert found["closed"]
    assert "seccomp" in found["layers"]
    results = found["results"]
    assert results.pop("clone3") == errno.ENOSYS  # so that the C library takes clone
    assert set(results.values()) == {errno.EPERM}, results
    assert (found["uevent"], found["pair"]) == (0, 0)


@needs_seccomp
def test_programs_that_perceive_starts_are_in_the_same_sandbox(inside: Inside) -> None:
    ask = "import socket; socket.socket(socket.AF_INET)"
    found = inside(
        "enter_perceive([own])\nimport subprocess\n"
        f"done = subprocess.run([sys.executable, '-c', {ask!r}], stderr=subprocess.PIPE, text=True)"
        "\nemit(code=done.returncode, why=done.stderr)"
    )
    assert found["code"] == 1
    assert "PermissionError" in found["why"]


@needs_seccomp
def test_threads_from_before_are_off_the_network_too(inside: Inside) -> None:
    found = inside(
        "import threading\ngo, codes = threading.Event(), []\n"
        "def late():\n    go.wait()\n"
        "    codes.append(code(lambda: socket.socket(socket.AF_INET)))\n"
        "thread = threading.Thread(target=late)\nthread.start()\n"
        "import logging\nlogging.basicConfig()\n"
        "enter_perceive([own])\ngo.set()\nthread.join()\nemit(codes=codes)"
    )
    assert found["codes"] == [errno.EPERM]
    if 1 <= abi() < 8:
        assert "1 threads ran before" in found["log"]


def test_perceive_dumps_no_core_and_cannot_be_traced(inside: Inside) -> None:
    found = inside(
        "import resource\nrestrict_perceive([own])\n"
        "ctypes_prctl = ctypes.CDLL(None).prctl\n"
        "emit(limit=resource.getrlimit(resource.RLIMIT_CORE), dumpable=ctypes_prctl(3),\n"
        "    privileges=kernel.status('NoNewPrivs'), open_files=len(os.listdir('/proc/self/fd')),\n"
        "    maps=len(open('/proc/self/maps').read()))"
    )
    assert found["limit"] == [0, 0]
    assert found["dumpable"] == 0
    assert found["privileges"] == 1
    assert found["open_files"] > 0  # /proc/self stays readable
    assert found["maps"] > 0


@needs_landlock
def test_perceive_writes_in_its_own_folders_only(inside: Inside, tmp_path: Path) -> None:
    there = tmp_path / "there.txt"
    there.write_text("before")
    found = inside(
        f"there = Path({str(there)!r})\n"
        "found = enter_perceive([own, own / 'absent'])\n"
        "emit(confined=found.writes == 'confined', read=there.read_text(),\n"
        "    refused=[code(lambda: there.open('a')), code(there.unlink),\n"
        "             code(lambda: there.with_name('new').touch()),\n"
        "             code(lambda: there.with_name('folder').mkdir()),\n"
        "             code(lambda: os.mkfifo(own / 'pipe')),\n"
        "             code(lambda: (own / 'link').symlink_to(there)),\n"
        "             code(lambda: os.truncate(there, 0))],\n"
        "    granted=[code(lambda: (own / 'a').write_text('x')), code((own / 'b').mkdir),\n"
        "             code(lambda: os.replace(own / 'a', own / 'c')), code((own / 'c').unlink),\n"
        "             code(lambda: open('/dev/null', 'w').write('x'))])"
    )
    assert found["confined"]
    assert found["read"] == "before"
    assert set(found["refused"][:-1]) == {errno.EACCES}
    assert found["refused"][-1] == (errno.EACCES if abi() >= 3 else 0)
    assert set(found["granted"]) == {0}


@needs_scopes
def test_perceive_reaches_no_other_process(inside: Inside) -> None:
    found = inside(
        "parent = os.getppid()\nrestrict_perceive([own], local_clients=True)\n"
        "emit(signal=code(lambda: os.kill(parent, 0)), own=code(lambda: os.kill(os.getpid(), 0)),\n"
        "    memory=code(lambda: open(f'/proc/{parent}/mem', 'rb')))"
    )
    assert found["signal"] in (errno.EPERM, errno.EACCES)
    assert found["own"] == 0
    assert found["memory"] in (errno.EPERM, errno.EACCES)


def test_a_camera_stack_may_be_let_talk_to_its_daemon(inside: Inside) -> None:
    found = inside(
        "server = socket.socket(socket.AF_UNIX)\n"
        "server.bind(str(own / 'daemon'))\nserver.listen()\n"
        "found = enter_perceive([own], local_clients=True)\n"
        "client = socket.socket(socket.AF_UNIX)\n"
        "emit(code=code(lambda: client.connect(str(own / 'daemon'))),\n"
        "    closed=found.network == 'closed')"
    )
    assert found["code"] == 0
    assert found["closed"] or not seccomp.known(processor())


@needs_seccomp
def test_the_kiosk_can_still_talk_to_perceive(inside: Inside) -> None:
    """The content socket is served from inside the sandbox."""
    found = inside(
        "enter_perceive([own])\nserver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "emit(bind=code(lambda: server.bind(str(own / 'content.sock'))))"
    )
    assert found["bind"] == 0


@pytest.mark.parametrize("address", ["/notify", "@fleeting-test-{pid}"])
@pytest.mark.parametrize("enter", ["enter_perceive([own])", "enter_uplink([], [own], 1883)"])
def test_the_service_manager_can_still_be_notified(
    enter: str, address: str, inside: Inside
) -> None:
    """Also where it listens at an abstract address, which Landlock puts out of reach."""
    found = inside(
        "from agent.host import sd_notify\n"
        f"address = {address!r}.format(pid=os.getpid())\n"
        "address = address if address[0] == '@' else str(own) + address\n"
        "manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "manager.bind(address.replace('@', chr(0)))\nos.environ['NOTIFY_SOCKET'] = address\n"
        "sys.stdout.flush()\nchild = os.fork()\n"
        f"if child == 0:\n    sd_notify.connect()\n    {enter}\n    sd_notify.ready()\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\nmanager.setblocking(False)\nemit(received=manager.recv(99).decode())"
    )
    assert found["received"] == "READY=1"


@needs_landlock
def test_uplink_opens_no_device_and_no_foreign_file(inside: Inside, tmp_path: Path) -> None:
    secret, given = tmp_path / "secret", tmp_path / "given.toml"
    secret.write_text("s")
    given.write_text("g")
    found = inside(
        f"given, secret = Path({str(given)!r}), Path({str(secret)!r})\n"
        "found = enter_uplink([given, given.with_name('absent')], [own], 1883)\n"
        "import sqlite3\n"
        "base = sqlite3.connect(own / 'outbox.db')\n"
        "base.execute('PRAGMA journal_mode=WAL')\n"
        "base.execute('CREATE TABLE t (a)')\nbase.commit()\n"
        "emit(devices=found.devices == 'closed', confined=found.writes == 'confined',\n"
        "    layers=found.layers,\n"
        "    full=code(lambda: open('/dev/ptmx')), listed=code(lambda: os.listdir('/dev')),\n"
        "    secret=code(secret.open), altered=code(lambda: given.open('a')),\n"
        "    granted=[code(given.open), code(lambda: open('/etc/hosts')),\n"
        "             code(lambda: open('/dev/urandom')),\n"
        "             code(lambda: open('/proc/self/status')),\n"
        "             code(lambda: open('/proc/sys/kernel/random/boot_id'))],\n"
        "    load=code(lambda: open('/proc/stat')))"
    )
    assert found["load"] == errno.EACCES  # the load would reveal presence
    assert found["devices"]
    assert found["confined"]
    assert "landlock" in found["layers"]
    assert found["full"] == found["listed"] == errno.EACCES
    assert found["secret"] == found["altered"] == errno.EACCES
    assert set(found["granted"]) == {0}


@needs_seccomp
def test_uplink_speaks_tcp_and_udp_and_starts_no_program(inside: Inside) -> None:
    found = inside(
        f"enter_uplink([], [own], 1883)\n{ESCAPES}\n"
        "stream = lambda protocol: socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)\n"
        "fast = lambda: stream(0).sendto(b'x', 0x20000000, ('127.0.0.1', 1883))\n"
        "emit(open=[results.pop('tcp'), results.pop('udp6')], results=results,\n"
        "    more=[code(lambda: stream(262)), code(lambda: stream(132)), code(fast),\n"
        "          code(lambda: os.execv('/bin/true', ['true']))])"
    )
    assert found["open"][0] == 0
    assert found["open"][1] in (0, errno.EAFNOSUPPORT)
    assert found["results"].pop("clone3") == errno.ENOSYS
    assert found["results"].pop("hidden") == 0  # treated as AF_INET
    assert set(found["results"].values()) == {errno.EPERM}, found["results"]
    assert set(found["more"]) == {errno.EPERM}  # Multipath TCP, SCTP, data in a SYN, exec


@needs_ports
def test_uplink_connects_to_the_brokers_port_only(inside: Inside) -> None:
    found = inside(
        "broker, other = socket.create_server(('127.0.0.1', 0)), "
        "socket.create_server(('127.0.0.1', 0))\n"
        "enter_uplink([], [own], broker.getsockname()[1])\n"
        "to = lambda server: code(lambda: socket.create_connection(server.getsockname(), 5))\n"
        "emit(broker=to(broker), other=to(other), elsewhere=probe.no_connection_elsewhere(),\n"
        "    listen=code(lambda: socket.create_server(('127.0.0.1', 0))))"
    )
    assert found["broker"] == 0
    assert found["other"] == found["listen"] == errno.EACCES
    assert found["elsewhere"]


def test_uplink_has_what_its_libraries_need(inside: Inside) -> None:
    """Lazy imports, name look-ups, certificates, signatures, in executable memory of its own."""
    found = inside(
        "found = enter_uplink([], [own], 8883)\n"
        "import ssl, sqlite3, zoneinfo, encodings.idna\n"
        "import paho.mqtt.client\nimport agent.uplink.process\n"
        "from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey\n"
        "key = Ed25519PrivateKey.generate()\n"
        "key.public_key().verify(key.sign(b'x'), b'x')\n"
        "ssl.create_default_context()\n"
        "emit(names=len(socket.getaddrinfo('localhost', 8883)), layers=found.layers)"
    )
    assert found["names"] > 0


def test_mdwe_is_left_out_where_numba_is(inside: Inside) -> None:
    found = inside(
        "import logging, types\nlogging.basicConfig()\n"
        "sys.modules['numba'] = types.ModuleType('numba')\n"
        "emit(layers=enter_uplink([], [own], 1883).layers)"
    )
    assert "mdwe" not in found["layers"]
    assert "Numba is loaded here" in found["log"]


def test_entering_twice_does_no_harm(inside: Inside) -> None:
    found = inside(
        "first, second = enter_perceive([own]), enter_perceive([own])\n"
        "emit(same=first == second, writes=code(lambda: (own / 'x').touch()))"
    )
    assert found == {"same": True, "writes": 0, "log": found["log"]}


@pytest.mark.parametrize("enter", ["enter_perceive([own])", "enter_uplink([], [own], 1883)"])
def test_a_kernel_without_any_layer_is_reported_as_open(enter: str, inside: Inside) -> None:
    """Every layer fails; startup continues, and the report lists none."""
    found = inside(
        "import logging\nlogging.basicConfig()\n"
        "def none(*_):\n    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))\n"
        "kernel.syscall = landlock.syscall = seccomp.syscall = kernel.prctl = none\n"
        "probe.under_systemd = probe.alone_in_network = lambda: False\n"
        f"found = {enter}\n"
        "closed = getattr(found, 'network', getattr(found, 'egress', '')) != 'open'\n"
        "emit(closed=closed, confined=found.writes == 'confined', layers=found.layers)"
    )
    assert not found["closed"]
    assert not found["confined"]
    assert found["layers"] == []
    for layer in ("seccomp", "landlock"):
        assert f"lacks one layer, {layer}: Function not implemented" in found["log"]
