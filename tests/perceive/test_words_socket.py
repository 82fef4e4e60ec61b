"""The words socket: lines are received, what is refused is counted, and nobody is answered."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from agent.base.errors import ConfigError
from agent.perceive.words_socket import BURST, MAX_DATAGRAM, MAX_LINE, RATE, Refused, WordsSocket


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def words(tmp_path: Path, clock: Clock) -> WordsSocket:
    return WordsSocket(tmp_path / "words.sock", clock)


def connect(tmp_path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    client.settimeout(5)
    client.connect(str(tmp_path / "words.sock"))
    return client


def test_lines_come_in_order(tmp_path: Path, words: WordsSocket) -> None:
    assert words.poll() == []
    with connect(tmp_path) as client:
        client.send("Très bien !\n".encode())
        client.send(b"Where is the exit?\r\n\tgut\tgemacht \nlast line never ends")
        assert words.poll() == [
            "Très bien !",
            "Where is the exit?",
            "gut gemacht",
            "last line never ends",
        ]
    assert words.refused.total == 0
    words.close()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"x" * (MAX_LINE + 1), Refused(too_long=1)),
        (b"x" * (MAX_DATAGRAM + 1), Refused(too_long=1)),
        (b"\xff\xfe\n", Refused(not_utf8=1)),
        (b"\xed\xa0\x80\n", Refused(not_utf8=1)),
        (b"bell \x07\n", Refused(control=1)),
        (b"nul\x00\n", Refused(control=1)),
        ("next\u0085line\n".encode(), Refused(control=1)),
        ("next\u2028line\n".encode(), Refused(control=1)),
        (b"\n", Refused(empty=1)),
        (b"", Refused(empty=1)),
        (b" \t \n\n", Refused(empty=2)),
    ],
)
def test_what_is_refused_is_counted(
    tmp_path: Path, words: WordsSocket, given: bytes, expected: Refused
) -> None:
    with connect(tmp_path) as client:
        client.send(given)
        assert words.poll() == []
        assert words.refused == expected
        client.send(b"x" * MAX_LINE + b"\nfine")
        assert words.poll() == ["x" * MAX_LINE, "fine"]
    assert words.refused == expected


def test_a_megabyte_is_refused_by_the_kernel(tmp_path: Path, words: WordsSocket) -> None:
    told = os.strerror(errno.EMSGSIZE)
    with connect(tmp_path) as client, pytest.raises(OSError, match=told):
        client.send(b"x" * 1_000_000)
    assert words.poll() == []


def test_beyond_the_rate_lines_are_counted_and_dropped(
    tmp_path: Path, words: WordsSocket, clock: Clock
) -> None:
    with connect(tmp_path) as client:
        client.send(b"line\n" * 100)
        assert len(words.poll()) == BURST
        assert words.refused == Refused(too_many=100 - BURST)
        client.send(b"line\n" * 100)
        assert words.poll() == []
        clock.now += 1.0
        client.send(b"line\n" * 100)
        assert len(words.poll()) == RATE
        clock.now += 3600
        client.send(b"line\n" * 100)
        assert len(words.poll()) == BURST


def test_a_thousand_clients_cost_neither_memory_nor_time(
    tmp_path: Path, words: WordsSocket
) -> None:
    """The kernel holds some ten datagrams for all of them; the others wait in their own call."""
    clients = []
    try:
        for _ in range(1000):
            client = connect(tmp_path)
            client.setblocking(False)
            clients.append(client)
            try:
                client.send(b"hello\n" * 200)
            except BlockingIOError:
                continue
        read = len(words.poll()) + words.refused.total
        assert BURST <= read <= 64 * 200
        assert words.poll() == []
    finally:
        for client in clients:
            client.close()


def test_its_buffer_keeps_nothing(tmp_path: Path, words: WordsSocket) -> None:
    with connect(tmp_path) as client:
        client.send(b"a secret that I told a kiosk\n" * 20)
        words.poll()
        client.send(b"x" * (MAX_DATAGRAM + 5))
        words.poll()
    assert not any(words._buffer)


def test_a_passed_descriptor_is_not_received(tmp_path: Path, words: WordsSocket) -> None:
    reading, writing = os.pipe()
    with connect(tmp_path) as client:
        socket.send_fds(client, [b"good\n"], [writing])
        os.close(writing)
        before = set(os.listdir("/proc/self/fd"))
        assert words.poll() == ["good"]
        assert set(os.listdir("/proc/self/fd")) == before
        assert os.read(reading, 1) == b""
    os.close(reading)


def test_a_place_where_none_can_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"words\.socket"):
        WordsSocket(tmp_path / "nowhere" / "words.sock")
