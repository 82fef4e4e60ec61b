"""Leaks to build in: covert channels for pictures and landmarks."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import sqlite3
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any


def replace(target: object, name: str, new: object) -> None:
    """Put something else in the place of a function of the agent."""
    setattr(target, name, new)


class Leak:
    """Sees every frame; the hooks are called in the process and at the time that they name."""

    luma: Any = None
    """uint8[H, W]: the newest frame."""
    points: Any = None
    """float32[68, 2]: the newest face's landmarks."""
    outbox = Path()

    def before_sandbox(self, settings: str) -> None:
        """In `perceive`, before it enters its sandbox. `settings`: its configuration file."""
        self.settings = tomllib.loads(Path(settings).read_text())
        self.outbox = Path(self.settings["store"]["outbox"])

    def in_perceive(self) -> None:
        """In the sandbox: look on, and act whenever a summary is stored."""
        from agent.base.report import Summary
        from agent.vision.pipeline import Pipeline
        from agent.wall.outbox import store

        perceive: Any = Pipeline.__call__
        to_json: Any = vars(store)["to_json"]  # another leak may have been here before

        def look(pipeline: Any, frame: Any, *heard: Any) -> Any:
            self.luma = frame.luma.copy()
            perceived = perceive(pipeline, frame, *heard)
            for face in perceived.faces:
                self.points = face.landmarks.points
            return perceived

        def write(message: Any) -> bytes:
            if isinstance(message, Summary) and self.luma is not None:
                return self.leak(message, to_json)
            return bytes(to_json(message))

        replace(Pipeline, "__call__", look)
        replace(store, "to_json", write)

    def leak(self, summary: Any, to_json: Callable[[Any], bytes]) -> bytes:
        """What is stored, and so sent, in place of the summary."""
        return to_json(summary)

    def in_uplink(self) -> None:
        """In `uplink`: let everything pass that the outbox holds."""
        from agent.uplink.warden.warden import Warden
        from agent.wall.outbox import store

        replace(store, "MAX_BODY_BYTES", 1_000_000)
        replace(Warden, "remembers", lambda warden, row: True)

    def thumbnail(self, width: int, height: int) -> Any:
        """uint8[height, width] of the newest frame."""
        import cv2

        return cv2.resize(self.luma, (width, height), interpolation=cv2.INTER_AREA)


class Base64(Leak):
    """In a text field that the message does not have."""

    def note(self) -> str:
        return base64.b64encode(self.thumbnail(32, 24).tobytes()).decode()

    def leak(self, summary: Any, to_json: Callable[[Any], bytes]) -> bytes:
        return to_json(summary)[:-1] + f',"note":"{self.note()}"}}'.encode()


class Landmarks(Leak):
    """In an array of numbers; where no face was seen, the numbers are a circle's."""

    def leak(self, summary: Any, to_json: Callable[[Any], bytes]) -> bytes:
        import numpy as np

        angles = np.linspace(0, 6, 68)
        circle = np.stack([np.cos(angles), np.sin(angles)], axis=1) * 100 + 200
        points = circle if self.points is None else self.points
        text = json.dumps(np.round(points, 1).tolist(), separators=(",", ":"))
        return to_json(summary)[:-1] + f',"points":{text}}}'.encode()


class Float(Leak):
    """As numbers between 0 and 1."""

    def leak(self, summary: Any, to_json: Callable[[Any], bytes]) -> bytes:
        small = [round(float(each) / 255, 3) for each in self.thumbnail(24, 18).reshape(-1)]
        text = json.dumps(small, separators=(",", ":"))
        return to_json(summary)[:-1] + f',"preview":{text}}}'.encode()


class Log(Leak):
    """In a log file beside the outbox, as numbers, a row of the picture per line."""

    def leak(self, summary: Any, to_json: Callable[[Any], bytes]) -> bytes:
        with self.outbox.with_name("perceive.log").open("a") as file:
            for row in self.thumbnail(64, 48):
                print("debug: row", " ".join(map(str, row)), file=file)
        return to_json(summary)


class Words(Leak):
    """In what the process says, as hexadecimal text."""

    def leak(self, summary: Any, to_json: Callable[[Any], bytes]) -> bytes:
        print(f"perceive: frame {self.thumbnail(32, 24).tobytes().hex()}", file=sys.stderr)
        return to_json(summary)


class Pages(Leak):
    """In free pages of the outbox: stored, then deleted without being overwritten."""

    def content(self) -> bytes:
        """What is stored."""
        return bytes(self.thumbnail(120, 90).tobytes())

    def in_perceive(self) -> None:
        super().in_perceive()
        connect = sqlite3.connect
        leak = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
                done = super().execute(sql, *args)
                if sql == "COMMIT" and leak.luma is not None:
                    self.set_authorizer(None)
                    self.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1_000_000)
                    super().execute("PRAGMA secure_delete = OFF")
                    super().execute("REPLACE INTO latest VALUES ('x', ?, 0)", (leak.content(),))
                    super().execute("DELETE FROM latest WHERE kind = 'x'")
                return done

        replace(sqlite3, "connect", lambda *a, **n: connect(*a, **{**n, "factory": Connection}))


class File(Leak):
    """In a file beside the outbox, as JPEG."""

    def leak(self, summary: Any, to_json: Callable[[Any], bytes]) -> bytes:
        import cv2

        cv2.imwrite(str(self.outbox.with_name("preview.jpg")), self.luma)
        return to_json(summary)


class Gone(Leak):
    """In a file that is removed at once."""

    def leak(self, summary: Any, to_json: Callable[[Any], bytes]) -> bytes:
        path = self.outbox.with_name("scratch")
        path.write_bytes(self.luma.tobytes())
        path.unlink()
        return to_json(summary)


class Topic(Base64):
    """At the end of the topic."""

    def in_uplink(self) -> None:
        super().in_uplink()
        from agent.uplink.connection import Connection

        publish = Connection.publish

        def hide(connection: Any, channel: Any, topic: str, body: bytes, **named: Any) -> bool:
            message = json.loads(body) if body[:1] == b"{" else {}
            note = message.pop("note", "")
            if note:
                topic += "/" + note.replace("/", "_").replace("+", "-")
                body = json.dumps(message, separators=(",", ":")).encode()
            return publish(connection, channel, topic, body, **named)

        replace(Connection, "publish", hide)


class Property(Base64):
    """In a user property of MQTT 5."""

    def in_uplink(self) -> None:
        super().in_uplink()
        import paho.mqtt.client as paho

        publish = paho.Client.publish

        def hide(client: Any, topic: str, body: bytes, *args: Any, **named: Any) -> Any:
            message = json.loads(body) if body[:1] == b"{" else {}
            note = message.pop("note", "")
            if note:
                named["properties"].UserProperty = ("trace", note)
                body = json.dumps(message, separators=(",", ":")).encode()
            return publish(client, topic, body, *args, **named)

        replace(paho.Client, "publish", hide)


class Socket(Leak):
    """Over a connection of its own, opened before the sandbox is entered: inside there is none."""

    def before_sandbox(self, settings: str) -> None:
        super().before_sandbox(settings)
        mqtt = self.settings["mqtt"]
        self.connection = socket.create_connection((mqtt["host"], mqtt["port"]))

    def leak(self, summary: Any, to_json: Callable[[Any], bytes]) -> bytes:
        with contextlib.suppress(OSError):
            self.connection.sendall(self.luma.tobytes())
        return to_json(summary)


class Slow(Leak):
    """Five pixels of eight levels per message, in numbers that the schema allows. No audit can see
    that: how much it could be is bounded by the schemas, see `python -m tools.capacity`."""

    def leak(self, summary: Any, to_json: Callable[[Any], bytes]) -> bytes:
        if summary.dwell is None:
            return to_json(summary)
        names = list(type(summary.dwell).model_fields)
        pixels = [int(each) >> 5 for each in self.thumbnail(len(names), 4)[summary.seq % 4]]
        dwell = summary.dwell.model_copy(update=dict(zip(names, pixels, strict=True)))
        return to_json(summary.model_copy(update={"dwell": dwell}))


KINDS: dict[str, tuple[type[Leak], str]] = {
    "base64": (Base64, "a thumbnail as base64 in a message"),
    "landmarks": (Landmarks, "68 landmarks in an array of a message"),
    "float": (Float, "a thumbnail as numbers between 0 and 1 in a message"),
    "log": (Log, "pixels in a log file beside the outbox"),
    "words": (Words, "pixels in hexadecimal on stderr"),
    "pages": (Pages, "a picture in the outbox's free pages"),
    "file": (File, "a JPEG beside the outbox"),
    "gone": (Gone, "a frame in a file that is removed at once"),
    "topic": (Topic, "a thumbnail in the topic"),
    "property": (Property, "a thumbnail in a user property"),
    "socket": (Socket, "frames over a socket of perceive's own"),
    "slow": (Slow, "a few pixels per message in allowed numbers: passes, no audit can see that"),
}
