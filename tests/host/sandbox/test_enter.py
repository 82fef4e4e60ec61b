"""What each process can and cannot do in its sandbox."""

from __future__ import annotations

import errno
import os
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


@needs_seccomp
def test_perceive_starts_no_program_and_no_process(inside: Inside) -> None:
    found = inside(
        "found = enter_perceive([own])\nimport subprocess\n"
        "emit(layers=found.layers, closed=found.network == 'closed',\n"
        "    program=code(lambda: subprocess.run([sys.executable, '-c', ''])),\n"
        "    process=code(os.fork))"
    )
    assert found["closed"]
    assert "seccomp" in found["layers"]
    assert found["program"] == found["process"] == errno.EPERM


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
def test_perceive_reads_and_writes_its_own_folders_only(inside: Inside, tmp_path: Path) -> None:
    there, given = tmp_path / "there.txt", tmp_path / "given.mp4"
    there.write_text("before")
    given.write_text("video")
    found = inside(
        f"there, given = Path({str(there)!r}), Path({str(given)!r})\n"
        "found = enter_perceive([own, own / 'absent'], readable=[given])\n"
        "(own / 'folder').mkdir()\n"
        "emit(confined=found.writes == 'confined',\n"
        "    refused=[code(lambda: there.open('a')), code(there.open), code(there.unlink),\n"
        "             code(lambda: given.open('a')), code(lambda: os.listdir(there.parent)),\n"
        "             code(lambda: there.with_name('new').touch()),\n"
        "             code(lambda: there.with_name('folder').mkdir()),\n"
        "             code(lambda: open('/proc/loadavg')), code(lambda: open('/etc/shadow')),\n"
        "             code(lambda: open('/dev/tty', 'w')), code(lambda: open('/proc/stat'))],\n"
        "    granted=[code(given.open), code(lambda: (own / 'a').write_text('x')),\n"
        "             code((own / 'b').mkdir), code(lambda: os.listdir('/dev')),\n"
        "             code(lambda: os.replace(own / 'a', own / 'c')), code((own / 'c').unlink),\n"
        "             code(lambda: open('/dev/null', 'w').write('x')),\n"
        "             code(lambda: open('/proc/cpuinfo').read()),\n"
        "             code(lambda: open('/proc/self/status').read()),\n"
        "             code(lambda: os.listdir('/sys/class'))])"
    )
    assert found["confined"]
    assert set(found["refused"]) == {errno.EACCES}
    assert set(found["granted"]) == {0}


@needs_landlock
def test_no_file_moves_from_one_folder_to_another(inside: Inside) -> None:
    found = inside(
        "(own / 'a').mkdir()\n(own / 'a/file').touch()\nenter_perceive([own])\n"
        "emit(up=code(lambda: os.rename(own / 'a/file', own / 'file')),\n"
        "    beside=code(lambda: os.rename(own / 'a/file', own / 'a/other')))"
    )
    assert found["up"] == errno.EXDEV
    assert found["beside"] == 0


@needs_landlock
def test_perceive_opens_no_device(inside: Inside) -> None:
    found = inside(
        "enter_perceive([own])\nemit(code=code(lambda: os.open('/dev/ptmx', os.O_RDWR)))"
    )
    assert found["code"] == errno.EACCES


@needs_landlock
def test_each_reader_of_a_camera_has_the_cameras_that_are_there_and_nothing_else(
    inside: Inside,
) -> None:
    """/dev/ptmx stands for a camera that is plugged in later; it takes no harm."""
    found = inside(
        "from agent.host.sandbox.camera import restrict_camera, restrict_spawner\n"
        "restrict_spawner(local_clients=False)\n"
        "def forked(named):\n"
        "    reading, writing = os.pipe()\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        restrict_camera(named, local_clients=False)\n"
        "        os.write(writing, bytes([code(lambda: os.open('/dev/ptmx', os.O_RDWR)),\n"
        "            code(os.fork), code(lambda: os.kill(os.getppid(), 0)),\n"
        "            code(lambda: open(own / 'file', 'w'))]))\n"
        "        os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "    return list(os.read(reading, 9))\n"
        "emit(without=forked([Path('/dev/absent'), own]), later=forked([Path('/dev/ptmx')]),\n"
        "    file=code(lambda: open(own / 'file', 'w')),\n"
        "    program=code(lambda: os.execv('/bin/true', ['true'])))"
    )
    assert found["without"][0] == errno.EACCES
    assert found["later"][0] == 0
    for _, fork, signal, file in (found["without"], found["later"]):
        assert fork == errno.EPERM
        assert signal in (errno.EPERM, errno.EACCES)
        assert file == errno.EACCES
    assert found["file"] == errno.EACCES
    assert found["program"] in (errno.EPERM, errno.EACCES)


@needs_scopes
def test_perceive_reaches_no_other_process(inside: Inside) -> None:
    found = inside(
        "import threading\n"
        "parent = os.getppid()\nrestrict_perceive([own])\n"
        "emit(signal=code(lambda: os.kill(parent, 0)),\n"
        "    own=code(lambda: signal.pthread_kill(threading.get_ident(), 0)),\n"
        "    memory=code(lambda: open(f'/proc/{parent}/mem', 'rb')))"
    )
    assert found["signal"] in (errno.EPERM, errno.EACCES)
    assert found["own"] == 0
    assert found["memory"] in (errno.EPERM, errno.EACCES)


@needs_seccomp
def test_root_keeps_the_right_to_files_and_no_other(inside: Inside) -> None:
    found = inside(
        "enter_perceive([own])\n"
        "emit(sets={line.split()[0]: int(line.split()[1], 16) for line in\n"
        "    open('/proc/self/status') if line.startswith(('CapEff', 'CapPrm', 'CapInh'))})"
    )
    files_and_memory = 1 << 1 | 1 << 2 | 1 << 14
    for held in found["sets"].values():
        assert held & ~files_and_memory == 0


@needs_landlock
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can empty the kernel's caches")
def test_what_is_granted_below_proc_stays_readable(inside: Inside) -> None:
    """procfs makes a new inode for an entry that fell out of the cache; a rule is an inode's."""
    found = inside(
        "ready, go, answer = os.pipe(), os.pipe(), os.pipe()\nchild = os.fork()\n"
        "if child == 0:\n"
        "    os.chdir('/')\n    enter_perceive([own])\n    os.write(ready[1], b'x')\n"
        "    os.read(go[0], 1)\n"
        "    os.write(answer[1], bytes([code(lambda: open('/proc/self/status'))]))\n"
        "    os._exit(0)\n"
        "os.read(ready[0], 1)\n"
        "for _ in range(3):\n    Path('/proc/sys/vm/drop_caches').write_text('2')\n"
        "os.write(go[1], b'x')\nemit(code=os.read(answer[0], 1)[0])"
    )
    assert found["code"] == 0


def test_a_camera_stack_may_be_let_talk_to_its_daemon(inside: Inside) -> None:
    found = inside(
        "server = socket.socket(socket.AF_UNIX)\n"
        "server.bind(str(own / 'daemon'))\nserver.listen()\n"
        "from agent.host.sandbox.camera import restrict_camera, restrict_spawner\n"
        "restrict_spawner(local_clients=True)\nrestrict_camera(local_clients=True)\n"
        "client = socket.socket(socket.AF_UNIX)\n"
        "emit(code=code(lambda: client.connect(str(own / 'daemon'))),\n"
        "    inet=code(lambda: socket.socket(socket.AF_INET)))"
    )
    assert found["code"] == 0
    assert found["inet"] == errno.EPERM or not seccomp.known(processor())


@needs_seccomp
def test_the_kiosk_is_heard_and_never_answered(inside: Inside) -> None:
    """The content socket, made before, is read from inside the sandbox."""
    found = inside(
        "content, kiosk = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))\n"
        "content.bind(str(own / 'content.sock'))\nkiosk.bind(str(own / 'kiosk.sock'))\n"
        "kiosk.connect(str(own / 'content.sock'))\nkiosk.send(b'17')\n"
        "enter_perceive([own])\nheard, whom = content.recvfrom(9)\n"
        "emit(heard=heard.decode(), answer=code(lambda: content.sendto(b'ok', whom)),\n"
        "    connect=code(lambda: content.connect(whom)))"
    )
    assert found["heard"] == "17"
    assert found["answer"] == found["connect"] == errno.EPERM


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
def test_uplink_makes_tcp_sockets_only_and_starts_no_program(inside: Inside) -> None:
    found = inside(
        "enter_uplink([], [own], 1883)\n"
        "make = lambda *kind: code(lambda: socket.socket(*kind))\n"
        "emit(tcp=make(socket.AF_INET, socket.SOCK_STREAM),\n"
        "    tcp6=make(socket.AF_INET6, socket.SOCK_STREAM),\n"
        "    others=[make(socket.AF_INET, socket.SOCK_DGRAM), make(socket.AF_UNIX),\n"
        "            make(socket.AF_INET, socket.SOCK_STREAM, 262), code(socket.socketpair),\n"
        "            code(lambda: os.execv('/bin/true', ['true'])), code(os.fork)])"
    )
    assert found["tcp"] == 0
    assert found["tcp6"] in (0, errno.EAFNOSUPPORT)
    assert set(found["others"]) == {errno.EPERM}


@needs_ports
def test_uplink_connects_to_the_brokers_port_only(inside: Inside) -> None:
    found = inside(
        "broker, other = socket.create_server(('127.0.0.1', 0)), "
        "socket.create_server(('127.0.0.1', 0))\n"
        "enter_uplink([], [own], broker.getsockname()[1])\n"
        "def to(port):\n"
        "    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:\n"
        "        return code(lambda: client.connect(('127.0.0.1', port)))\n"
        "emit(broker=to(broker.getsockname()[1]), other=to(other.getsockname()[1]), name=to(53),\n"
        "    elsewhere=probe.no_connection_elsewhere(),\n"
        "    listen=code(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).listen()))"
    )
    assert found["broker"] == 0
    assert found["other"] == found["name"] == errno.EACCES
    assert found["listen"] == errno.EPERM
    assert found["elsewhere"]


def test_uplink_has_what_its_libraries_need(inside: Inside) -> None:
    """Lazy imports, certificates, signatures, in executable memory of its own."""
    found = inside(
        "found = enter_uplink([], [own], 8883)\n"
        "import ssl, sqlite3, zoneinfo, encodings.idna\n"
        "import paho.mqtt.client\nimport agent.uplink.process\n"
        "from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey\n"
        "key = Ed25519PrivateKey.generate()\n"
        "key.public_key().verify(key.sign(b'x'), b'x')\n"
        "ssl.create_default_context()\n"
        "emit(authorities=code(lambda: os.listdir('/etc/ssl/certs')),\n"
        "    secret=code(lambda: open('/etc/shadow')), layers=found.layers)"
    )
    assert found["authorities"] in (0, errno.ENOENT)
    assert found["secret"] == errno.EACCES or "landlock" not in found["layers"]


def test_mdwe_is_left_out_where_numba_is(inside: Inside) -> None:
    found = inside(
        "import logging, types\nlogging.basicConfig()\n"
        "sys.modules['numba'] = types.ModuleType('numba')\n"
        "emit(layers=enter_uplink([], [own], 1883).layers)"
    )
    assert "mdwe" not in found["layers"]
    assert "Numba is loaded here" in found["log"]


@needs_seccomp
def test_entering_twice_changes_nothing(inside: Inside) -> None:
    found = inside(
        "import logging\nlogging.basicConfig()\n"
        "enter_perceive([own])\nenter_perceive([own, own.parent])\n"
        "emit(writes=code(lambda: (own / 'x').touch()),\n"
        "    wider=code(lambda: own.with_name('x').touch()))"
    )
    assert found["writes"] == 0
    assert found["wider"] == (errno.EACCES if abi() else 0)
    assert "lacks one layer, seccomp: Operation not permitted" in found["log"]


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


@needs_landlock
def test_what_falls_with_an_older_kernel_is_said(inside: Inside) -> None:
    """ABI 3 (Linux 6.2) knows files, and no ports."""
    found = inside(
        "import logging\nlogging.basicConfig()\nlandlock.version = lambda: 3\n"
        "found = enter_uplink([], [own], 1883)\nemit(layers=found.layers, egress=found.egress)"
    )
    assert "landlock" in found["layers"]
    assert found["egress"] == "open"
    assert "Landlock knows no ports: this process may connect to any" in found["log"]
