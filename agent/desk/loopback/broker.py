"""MQTT broker for the demo: 5.0 and 3.1.1, QoS 0 and 1, loopback only.

Retained messages and wills; no persistent sessions, message expiry or authentication. Use Mosquitto
in production.
"""

from __future__ import annotations

import asyncio
import secrets
import struct
import threading
from dataclasses import dataclass, field

from paho.mqtt.client import topic_matches_sub

from agent.base.errors import PublishError
from agent.desk.loopback import packets
from agent.desk.loopback.packets import Connect, MalformedError, Message

HOST = "127.0.0.1"
_TIMEOUT = 10.0
"""Seconds for a client's first packet, and for the broker to start and stop."""
_KEEP_ALIVES = 1.5
"""Keep-alive periods without a packet after which a client is dropped (MQTT 5.0, 3.1.2.10)."""
_MAX_CLIENTS = 64
_MAX_FILTERS = 256
_MAX_RETAINED = 10_000
_MAX_BACKLOG = 1_000_000
"""Buffered bytes beyond which a slow reader is dropped."""
_PROTOCOL_ERROR, _BAD_FILTER = 0x82, 0x8F


@dataclass(eq=False, slots=True)
class _Session:
    """One connected client."""

    connect: Connect
    writer: asyncio.StreamWriter
    filters: dict[str, int] = field(default_factory=dict)
    """Granted QoS by topic filter."""
    number: int = 0
    disconnected: bool = False

    def deliver(self, message: Message, qos: int, retain: bool) -> None:
        if self.writer.transport.get_write_buffer_size() > _MAX_BACKLOG:
            self.writer.transport.abort()
            return
        self.number = self.number % 65_535 + 1
        self.writer.write(packets.publish(message, self.connect.version, qos, self.number, retain))


class Broker:
    """Serves in its own thread between `start` and `stop`, or as a context manager."""

    def __init__(self, port: int = 0) -> None:
        """`port` 0: any free one, stored in `port` by `start`."""
        self.port = port
        self._sessions: dict[str, _Session] = {}
        self._retained: dict[str, Message] = {}
        self._loop = asyncio.new_event_loop()
        self._stopping: asyncio.Event | None = None
        self._ready = threading.Event()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="demo-broker", daemon=True)

    def start(self) -> None:
        """Listen. Raises `PublishError` where the port is taken."""
        self._thread.start()
        self._ready.wait(_TIMEOUT)
        if self._error is not None:
            self._thread.join(_TIMEOUT)
            raise PublishError(
                f"The demo's broker cannot listen on {HOST}:{self.port}: "
                f"{self._error.strerror}. Choose another port, or 0 for any free one."
            )

    def stop(self) -> None:
        """Close all connections and the port; idempotent."""
        if self._thread.is_alive() and self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(_TIMEOUT)

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except OSError as error:
            self._error = error
        finally:
            self._loop.close()
            self._ready.set()

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        clients: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

        async def handle(stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            clients[task] = writer
            try:
                await self._client(stream, writer)
            finally:
                del clients[task]

        server = await asyncio.start_server(handle, HOST, self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        # aborted connections end their tasks; a cancellation can be lost inside wait_for
        while clients:
            for writer in list(clients.values()):
                writer.transport.abort()
            await asyncio.sleep(0)

    async def _client(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        session = None
        try:
            session = await asyncio.wait_for(self._accept(stream, writer), _TIMEOUT)
            while session is not None and not session.disconnected:
                timeout = _KEEP_ALIVES * session.connect.keepalive or None
                first, body = await asyncio.wait_for(packets.read_packet(stream), timeout)
                self._handle_packet(session, first, body)
                await writer.drain()
        except MalformedError:
            if session is not None and session.connect.version == 5:
                writer.write(packets.packet(0xE0, bytes([_PROTOCOL_ERROR, 0])))
        except (asyncio.IncompleteReadError, TimeoutError, ConnectionError, OSError):
            pass  # connection lost: the will is published
        finally:
            if session is not None:
                self._remove(session)
            writer.close()

    async def _accept(
        self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> _Session | None:
        first, body = await packets.read_packet(stream)
        if first != 0x10:
            raise MalformedError("the first packet is not CONNECT")
        connect = packets.parse_connect(body)
        if connect.version not in (4, 5):
            writer.write(packets.connack(4, 1))
            return None
        busy = len(self._sessions) >= _MAX_CLIENTS
        if busy or (not connect.client_id and connect.version == 4 and not connect.clean):
            code = (3 if busy else 2) if connect.version == 4 else 0x97
            writer.write(packets.connack(connect.version, code))
            return None
        client_id = connect.client_id or f"demo-{secrets.token_hex(6)}"
        previous = self._sessions.pop(client_id, None)
        if previous is not None:
            previous.writer.close()
        session = self._sessions[client_id] = _Session(connect, writer)
        assigned = None if connect.client_id else client_id
        writer.write(packets.connack(connect.version, 0, assigned))
        return session

    def _handle_packet(self, session: _Session, first: int, body: bytes) -> None:
        kind, version = first >> 4, session.connect.version
        if kind == 3:
            message, number = packets.parse_publish(first, body, version)
            self._route(message)
            if number:
                session.writer.write(packets.packet(0x40, struct.pack("!H", number)))
        elif first == 0x82:
            self._subscribe(session, body)
        elif first == 0xA2:
            number, filters = packets.parse_filters(body, version, options=False)
            # 0x11: no such subscription (MQTT 5.0, 3.11.3)
            removed = [session.filters.pop(text, None) for text, _ in filters]
            codes = bytes(0x11 if qos is None else 0 for qos in removed)
            extra = b"\x00" + codes if version == 5 else b""
            session.writer.write(packets.packet(0xB0, struct.pack("!H", number), extra))
        elif first == 0xC0:
            session.writer.write(packets.packet(0xD0))
        elif first == 0xE0:
            # MQTT 5: reason 4 requests publication of the will
            session.disconnected = True
            if body[:1] == b"\x04":
                self._publish_will(session)
        elif kind != 4:  # PUBACK is ignored, as messages are not sent again
            raise MalformedError(f"packet type {kind}")

    def _subscribe(self, session: _Session, body: bytes) -> None:
        version = session.connect.version
        number, filters = packets.parse_filters(body, version, options=True)
        codes, granted = bytearray(), []
        for text, options in filters:
            full = len(session.filters) >= _MAX_FILTERS
            if full or not packets.valid_filter(text) or text.startswith("$share/"):
                codes.append(_BAD_FILTER if version == 5 else 0x80)
                continue
            qos = min(options & 3, 1)
            session.filters[text] = qos
            codes.append(qos)
            granted.append((text, qos))
        extra = b"\x00" if version == 5 else b""
        session.writer.write(packets.packet(0x90, struct.pack("!H", number), extra, bytes(codes)))
        for text, qos in granted:
            for topic, message in self._retained.items():
                if topic_matches_sub(text, topic):
                    session.deliver(message, min(qos, message.qos), retain=True)

    def _route(self, message: Message) -> None:
        """Deliver to every subscriber once, at the highest QoS of its matching filters."""
        if message.retain and not message.payload:
            self._retained.pop(message.topic, None)
        elif message.retain:
            if len(self._retained) >= _MAX_RETAINED and message.topic not in self._retained:
                raise MalformedError("too many retained topics")
            self._retained[message.topic] = message
        for session in list(self._sessions.values()):
            granted = [
                qos
                for text, qos in session.filters.items()
                if topic_matches_sub(text, message.topic)
            ]
            if granted:
                session.deliver(message, min(max(granted), message.qos), retain=False)

    def _remove(self, session: _Session) -> None:
        """Remove a client; publish its will unless it sent DISCONNECT."""
        for client_id, each in list(self._sessions.items()):
            if each is session:
                del self._sessions[client_id]
        if not session.disconnected:
            self._publish_will(session)

    def _publish_will(self, session: _Session) -> None:
        if session.connect.will is not None:
            self._route(session.connect.will)
