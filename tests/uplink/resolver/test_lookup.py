"""The uplink's side: literals without a process, and resolvers that lie, hang or end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.base.errors import ConfigError, PublishError
from agent.uplink.resolver import lookup as module
from agent.uplink.resolver.answer import FOUND, LENGTH, Entry
from agent.uplink.resolver.lookup import Lookup

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.7", [("192.0.2.7", 1883)]),
        ("2001:db8::1", [("2001:db8::1", 1883, 0, 0)]),
        ("fe80::1%3", [("fe80::1", 1883, 0, 3)]),
        ("fe80::1%lo", [("fe80::1", 1883, 0, socket.if_nametoindex("lo"))]),
        ("localhost", [("127.0.0.1", 1883), ("::1", 1883, 0, 0)]),
        ("LocalHost.", [("127.0.0.1", 1883), ("::1", 1883, 0, 0)]),
    ],
)
def test_an_address_needs_no_process(host: str, expected: list[tuple[object, ...]]) -> None:
    found = Lookup(host)
    assert found._child is None
    assert [each.at(1883) for each in found.addresses()] == expected
    found.close()


@pytest.mark.parametrize("host", ["-rf", "a..b", "x" * 64 + ".example", "a\0b"])
def test_what_is_no_name_is_refused_at_the_start(host: str) -> None:
    with pytest.raises(ConfigError, match=r"mqtt\.host"):
        Lookup(host)


def test_a_name_of_this_machine_is_looked_up_by_a_process() -> None:
    """By the system's own configuration: /etc/hosts here."""
    names = [line.partition("#")[0].split() for line in Path("/etc/hosts").read_text().splitlines()]
    pairs = [(name, line[0]) for line in names for name in line[1:] if name != "localhost"]
    if not pairs:
        pytest.skip("/etc/hosts names nothing but localhost")
    name, address = pairs[0]
    found = Lookup(name)
    assert address in [each.host for each in found.addresses()]
    assert not found.lost
    found.close()


Talk = Callable[[str], Lookup]


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Talk]:
    """A lookup whose resolver is a script of ours; `ask()` in it awaits a request's number."""
    made: list[Lookup] = []

    def start(script: str) -> Lookup:
        prelude = (
            f"import os, sys, time\nsys.path.insert(0, {str(ROOT)!r})\n"
            "from agent.uplink.resolver.answer import *\n"
            "ask = lambda: os.read(0, 1)[0]\nsay = lambda answer: os.write(1, answer)\n"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", prelude + script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
        )  # fmt: skip
        assert child.stdin is not None
        os.set_blocking(child.stdin.fileno(), False)
        monkeypatch.setattr(module, "_start", lambda host: child)
        made.append(Lookup("broker.example"))
        return made[-1]

    yield start
    for each in made:
        child = each._child
        if child is not None:
            child.kill()
            child.wait()
        each.close()


def saying(entries: list[Entry]) -> str:
    return f"say(encode(ask(), FOUND, {entries!r}))\ntime.sleep(60)"


V4 = (4, b"\xc0\0\2\7", 0)


def test_an_answer_is_taken_in_its_order(talk: Talk) -> None:
    entries: list[Entry] = [(6, b"\x20\1" + bytes(13) + b"\1", 0), V4]
    found = talk(saying(entries)).addresses()
    assert [each.host for each in found] == ["2001::1", "192.0.2.7"]
    mapped: Entry = (6, bytes(10) + b"\xff\xff\xc0\0\2\7", 0)
    assert talk(saying([mapped])).addresses()[0].at(1) == ("192.0.2.7", 1)


def test_late_answers_to_earlier_requests_are_passed_over(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_TIMEOUT", 0.3)
    found = talk(
        "first = ask()\nsecond = ask()\nsay(encode(first, FOUND, [(4, b'bad!', 0)]))\n"
        "say(encode(second, FOUND, [(4, b'good', 0)]))\ntime.sleep(60)"
    )
    with pytest.raises(PublishError, match="not looked up in time"):
        found.addresses()
    assert not found.lost
    monkeypatch.setattr(module, "ANSWER_TIMEOUT", 30.0)
    assert found.addresses()[0].host == socket.inet_ntoa(b"good")


@pytest.mark.parametrize(
    "script",
    [
        "sys.exit()",
        "ask(); sys.exit()",
        f"ask(); say(bytes({LENGTH})); time.sleep(60)",
        f"n = ask(); say(bytes([n, {FOUND}, 255]) + bytes({LENGTH - 3})); time.sleep(60)",
        f"ask(); say(b'x' * {3 * LENGTH}); time.sleep(60)",
        "n = ask()\nwhile True: say(encode((n + 1) % 256, FOUND, [(4, b'1234', 0)]))",
        saying([(4, bytes(4), 0)]),
        saying([(4, b"\xff" * 4, 0)]),
        saying([(4, b"\xe0\0\0\1", 0)]),
        saying([(6, bytes(16), 0)]),
        saying([(6, bytes(10) + b"\xff\xff" + bytes(4), 0)]),
        saying([(6, b"\xff\2" + bytes(13) + b"\1", 0)]),
        saying([(6, b"\x20\1" + bytes(14), 7)]),
        saying([V4, (4, bytes(4), 0)]),
    ],
)
def test_a_resolver_that_ends_or_lies_is_given_up(talk: Talk, script: str) -> None:
    found = talk(script)
    with pytest.raises(PublishError, match="so that both are started again"):
        found.addresses()
    assert found.lost
    with pytest.raises(PublishError, match="nobody"):
        found.addresses()


def test_half_an_answer_is_given_up(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_TIMEOUT", 1.0)
    found = talk("ask(); say(b'x'); time.sleep(60)")
    with pytest.raises(PublishError, match="nonsense"):
        found.addresses()
    assert found.lost


def test_one_that_reads_nothing_blocks_nobody(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_TIMEOUT", 0.0)
    found = talk("time.sleep(60)")
    for _ in range(70_000):  # more than a pipe holds
        with pytest.raises(PublishError, match="in time"):
            found.addresses()
    assert not found.lost


SANDBOX = """
import json, os, socket, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from agent.host.sandbox import kernel
from agent.uplink.resolver.seal import seal
secret = Path({folder!r}) / "key"
secret.write_text("s")
lacking = seal()

def code(attempt):
    try:
        attempt()
    except OSError as error:
        return error.errno
    return 0

print(json.dumps(dict(
    lacking=lacking,
    refused=[
        code(secret.open), code(secret.with_name("new").touch), code(secret.unlink),
        code(lambda: open("/etc/passwd")), code(lambda: open("/dev/null")),
        code(lambda: os.listdir("/etc")), code(lambda: os.listdir("/dev")),
        code(lambda: open("/proc/self/status")),
        code(lambda: os.execv("/bin/true", ["true"])),
        code(lambda: os.kill(os.getppid(), 0)),
        code(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
        code(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
        code(lambda: socket.create_connection(("127.0.0.1", 9))),
        code(lambda: socket.socket().listen()),
    ],
    granted=[
        code(lambda: open("/etc/hosts")), code(lambda: open("/etc/resolv.conf")),
        code(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
        code(lambda: socket.socket(socket.AF_UNIX)),
    ],
)))
"""


def test_the_resolver_reads_how_names_are_found_and_nothing_else(tmp_path: Path) -> None:
    import json

    from tests.host.sandbox.test_enter import abi

    if abi() < 6:
        pytest.skip("this kernel's Landlock knows no ports or scopes")
    script = SANDBOX.format(root=str(ROOT), folder=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["lacking"] == []
    assert set(found["refused"]) <= {1, 13}, found  # EPERM, EACCES
    assert set(found["granted"]) == {0}, found
