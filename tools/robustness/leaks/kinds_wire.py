"""Leaks in what no message holds: fields and properties of MQTT packets, times, counters and unused
bytes of the outbox."""

from __future__ import annotations

import base64
import itertools
import sqlite3
import struct
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.robustness.leaks.kinds import Leak, replace


class Wire(Leak):
    """In packets of the uplink, which has read the video by itself: the outbox stays honest."""

    def __init__(self) -> None:
        self._bytes = itertools.cycle(b"")

    def in_perceive(self) -> None:
        """Perceive stays honest."""

    def in_uplink(self) -> None:
        from tools.common.film import greys

        settings = tomllib.loads(Path(sys.argv[-1]).read_text())
        self.luma = next(itertools.islice(greys(Path(settings["source"]["target"])), 11, None))
        self._bytes = itertools.cycle(self.thumbnail(16, 12).tobytes())
        self.hide()

    def hide(self) -> None:
        """Replace what the uplink calls."""

    def number(self, size: int) -> int:
        """The next `size` pixels as one integer, which may not be 0 in some fields."""
        return max(1, int.from_bytes(self.take(size), "big"))

    def take(self, size: int) -> bytes:
        """The next `size` pixels."""
        return bytes(itertools.islice(self._bytes, size))


class Session(Wire):
    """Four pixels in CONNECT's session expiry interval."""

    fields: tuple[tuple[str, int], ...] = (("SessionExpiryInterval", 4),)

    def hide(self) -> None:
        from agent.uplink import connection

        make = vars(connection)["connect_properties"]

        def properties() -> Any:
            found = make()
            for name, size in self.fields:
                setattr(found, name, self.number(size))
            return found

        replace(connection, "connect_properties", properties)


class Limits(Session):
    """Five pixels in CONNECT's receive maximum and maximum packet size."""

    fields = (("ReceiveMaximum", 2), ("MaximumPacketSize", 3))


class KeepAlive(Wire):
    """Two pixels in CONNECT's keep alive."""

    def hide(self) -> None:
        import paho.mqtt.client as paho

        connect = paho.Client.connect

        def open_(client: Any, host: str, port: int, _: int, **named: Any) -> Any:
            return connect(client, host, port, self.number(2), **named)

        replace(paho.Client, "connect", open_)


class Will(Wire):
    """Four pixels in the will's delay."""

    def hide(self) -> None:
        import paho.mqtt.client as paho
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        will_set = paho.Client.will_set

        def set_(client: Any, *args: Any, **named: Any) -> None:
            properties = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
            properties.WillDelayInterval = self.number(4)
            will_set(client, *args, **{**named, "properties": properties})

        replace(paho.Client, "will_set", set_)


class Expiry(Wire):
    """Four pixels in every message's expiry interval."""

    def hide(self) -> None:
        from agent.uplink import connection

        make = vars(connection)["publish_properties"]

        def properties(*args: Any) -> Any:
            found = make(*args)
            self.add(found)
            return found

        replace(connection, "publish_properties", properties)

    def add(self, properties: Any) -> None:
        """Change the properties of a message."""
        properties.MessageExpiryInterval = self.number(4)


class Names(Expiry):
    """Twelve pixels in the name of a user property."""

    def add(self, properties: Any) -> None:
        properties.UserProperty = (base64.b64encode(self.take(12)).decode(), "1")


class Ids(Wire):
    """Two pixels in every packet id."""

    def hide(self) -> None:
        import paho.mqtt.client as paho

        replace(paho.Client, "_mid_generate", lambda _: self.number(2))


class Reason(Wire):
    """Twelve pixels in the reason of DISCONNECT."""

    def hide(self) -> None:
        import paho.mqtt.client as paho
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        disconnect = paho.Client.disconnect

        def leave(client: Any) -> Any:
            properties = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]
            properties.ReasonString = base64.b64encode(self.take(12)).decode()
            return disconnect(client, properties=properties)

        replace(paho.Client, "disconnect", leave)


class Health(Wire):
    """A pixel in the number of messages that were dropped, in health messages that nobody needs."""

    def hide(self) -> None:
        from agent.base.report import to_json
        from agent.uplink.process import Uplink

        handle = Uplink._handle_inbox

        def more(uplink: Any, connection: Any) -> None:
            handle(uplink, connection)
            health = uplink._health().model_copy(update={"trimmed": self.number(1)})
            uplink._publish(connection, "health", to_json(health))

        replace(Uplink, "_handle_inbox", more)


class Rows(Leak):
    """In the outbox, beside the messages: written after every summary."""

    def leak(self, summary: Any, to_json: Callable[[Any], bytes]) -> bytes:
        self.pixels = self.thumbnail(16, 12).tobytes()
        return to_json(summary)

    def in_perceive(self) -> None:
        super().in_perceive()
        connect = sqlite3.connect
        leak = self
        self.pixels = b""

        def class_of(base: Any) -> Any:
            """Of a connection that another leak may have changed already."""

            class Connection(base):  # type: ignore[misc]
                def execute(self, sql: str, *args: Any) -> Any:
                    if sql == "COMMIT" and leak.pixels:
                        leak.write(super().execute)
                    done = super().execute(sql, *args)
                    if sql == "COMMIT" and leak.pixels:
                        leak.written()
                    return done

            return Connection

        def open_(*args: Any, **named: Any) -> Any:
            factory = class_of(named.get("factory", sqlite3.Connection))
            return connect(*args, **{**named, "factory": factory})

        replace(sqlite3, "connect", open_)

    def write(self, execute: Callable[..., sqlite3.Cursor]) -> None:
        """Add to a transaction."""

    def written(self) -> None:
        """After it."""


class Times(Rows):
    """Six pixels in the fraction of the time of each message that waits."""

    def write(self, execute: Callable[..., sqlite3.Cursor]) -> None:
        fraction = int.from_bytes(self.pixels[40:43], "big") / 2**24
        execute("UPDATE latest SET written = CAST(written AS INTEGER) + ?", (fraction,))


class Counters(Rows):
    """Four pixels in a counter's value."""

    def write(self, execute: Callable[..., sqlite3.Cursor]) -> None:
        value = int.from_bytes(self.pixels[40:44], "big")
        execute("REPLACE INTO counter VALUES ('receipt_upto', ?)", (value,))


class CounterNames(Rows):
    """Twelve pixels in a counter's name."""

    def write(self, execute: Callable[..., sqlite3.Cursor]) -> None:
        name = "n" + self.pixels[40:52].hex()
        execute("INSERT OR IGNORE INTO counter VALUES (?, 1)", (name,))


class Header(Rows):
    """Four pixels in the file's application id, past SQLite."""

    def written(self) -> None:
        with self.outbox.open("r+b") as file:
            file.seek(68)
            file.write(self.pixels[40:44])


class Slack(Rows):
    """Pixels in the unused bytes between the cells of a page, past SQLite."""

    def written(self) -> None:
        with self.outbox.open("r+b") as file:
            page = file.read(4096)
            if len(page) < 4096:
                return
            count, content = struct.unpack_from(">HH", page, 103)
            gap = range(108 + 2 * count, content)
            file.seek(gap.start + len(gap) // 2)
            file.write(self.pixels[: len(gap) // 2])


WIRE_KINDS: dict[str, tuple[type[Leak], str]] = {
    "session": (Session, "pixels in CONNECT's session expiry"),
    "limits": (Limits, "pixels in CONNECT's receive maximum and packet size"),
    "keepalive": (KeepAlive, "pixels in CONNECT's keep alive"),
    "will": (Will, "pixels in the will's delay"),
    "expiry": (Expiry, "pixels in the expiry of messages"),
    "propertynames": (Names, "pixels in names of user properties"),
    "ids": (Ids, "pixels in packet ids"),
    "reason": (Reason, "pixels in the reason of DISCONNECT"),
    "health": (Health, "a pixel per message in health nobody asked for"),
    "rowtimes": (Times, "pixels in times of the outbox's rows"),
    "counters": (Counters, "pixels in a counter of the outbox"),
    "counternames": (CounterNames, "pixels in names of counters"),
    "header": (Header, "pixels in the outbox's file header"),
    "slack": (Slack, "pixels in unused bytes of the outbox's pages"),
}
