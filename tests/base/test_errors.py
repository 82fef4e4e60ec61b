"""Reasons of failures in closed words."""

from __future__ import annotations

import errno
import socket
import sqlite3
import ssl

import pytest

from agent.base.errors import reason


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "pixels 12 13 14"), "No space left on device"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "pixels"), "Connection refused"),
        (OSError("pixels"), "OSError"),
        (socket.gaierror(-2, "pixels"), "gaierror"),
        (RuntimeError("pixels"), "RuntimeError"),
        (sqlite3.OperationalError("pixels"), "OperationalError"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "pixels"), "UnicodeDecodeError"),
        (ssl.SSLError(1, "pixels"), "Operation not permitted"),
    ],
)
def test_the_text_of_a_library_is_not_repeated(error: Exception, words: str) -> None:
    assert reason(error) == words


def test_sqlite_and_openssl_name_their_errors() -> None:
    with pytest.raises(sqlite3.Error) as caught:
        sqlite3.connect("/nonexistent/file")
    assert reason(caught.value) == "cantopen"
    with pytest.raises(ssl.SSLError) as refused:
        ssl.create_default_context().load_verify_locations(cadata=b"pixels")
    assert "pixels" not in reason(refused.value)
