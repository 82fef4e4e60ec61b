"""One signed request: to one address, without redirects, over within its time."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import Literal

from tools.common.errors import ToolError
from tools.fleet.alerts.webhooks import address, signature
from tools.fleet.alerts.webhooks.address import AddressError, Target
from tools.fleet.alerts.webhooks.outbox import Message
from tools.fleet.alerts.webhooks.vault import Kept

LIMIT = 10.0
"""Seconds for all of it, from the connection on."""
_AGAIN = (408, 425, 429)
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went."""

    state: Literal["taken", "refused", "away"]
    """Refused: this message; away: whatever is sent."""
    said: str
    """A line for a person; nothing that the receiver wrote."""


class _Connection(http.client.HTTPConnection):
    """To an address that was looked at, whatever the name says by now."""

    def __init__(
        self, target: Target, ip: str, context: ssl.SSLContext | None, limit: float
    ) -> None:
        super().__init__(target.host, target.port, timeout=limit)
        self._target, self._ip, self._context = target, ip, context

    def connect(self) -> None:
        raw = socket.create_connection((self._ip, self.port), self.timeout)
        self.sock = raw
        if self._context is not None:
            self.sock = self._context.wrap_socket(raw, server_hostname=self._target.host)


def send(
    kept: Kept, message: Message, now: int, limit: float = LIMIT,
    resolver: address.Resolver = address.resolve,
) -> Outcome:  # fmt: skip
    """Never raises. `now`: Unix seconds, signed with the body."""
    try:
        target = address.parse(kept.url)
        ip = address.choose(target, kept.networks, resolver)
        context = ssl.create_default_context(cafile=kept.ca) if target.tls else None
        return _exchange(_Connection(target, ip, context, limit), target, kept, message, now, limit)
    except AddressError as error:
        return Outcome("away", str(error)[:_LONGEST])
    except ssl.SSLError as error:
        return Outcome("away", f"TLS: {error.reason or 'failed'}"[:_LONGEST])
    except (TimeoutError, socket.gaierror, OSError) as error:
        said = error.strerror or type(error).__name__
        return Outcome("away", f"no connection, or cut off: {said}"[:_LONGEST])
    except (http.client.HTTPException, ToolError, ValueError) as error:
        return Outcome("away", f"no answer of HTTP: {type(error).__name__}")


def _exchange(
    connection: _Connection, target: Target, kept: Kept, message: Message, now: int, limit: float
) -> Outcome:
    # A receiver that sends a byte now and then would hold each single read within its time-out.
    late = threading.Event()
    timer = threading.Timer(limit, _cut, (connection, late))
    timer.daemon = True
    timer.start()
    try:
        connection.putrequest("POST", target.path, skip_host=True, skip_accept_encoding=True)
        for name, value in (
            ("Host", target.header),
            ("User-Agent", "fleeting-fleet"),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(message.body))),
            ("Connection", "close"),
            (signature.DELIVERY, message.delivery),
            (signature.EVENT, message.event),
            (signature.HEADER, signature.sign(kept.secrets, now, message.body)),
        ):
            connection.putheader(name, value)
        connection.endheaders(message.body)
        # Where time ran out while TLS was agreed on, no socket was there to be cut.
        status = 0 if late.is_set() else connection.getresponse().status
    finally:
        timer.cancel()
        connection.close()
    if late.is_set():  # half an answer would pass for a whole one
        return Outcome("away", f"no answer within {limit:g} s")
    if 200 <= status < 300:
        return Outcome("taken", str(status))
    if 300 <= status < 400:
        return Outcome("refused", f"{status}: redirects are not followed; give the final URL")
    if 400 <= status < 500 and status not in _AGAIN:
        return Outcome("refused", str(status))
    return Outcome("away", str(status))


def _cut(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    late.set()
    sock = connection.sock
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
