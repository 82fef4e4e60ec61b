"""Generator of hostile messages: what a stranger with the broker's password might send."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

DEVICE, GROUP = "box-7", "shop"
BASE = f"fleeting/1/d/{DEVICE}"
JOB = f"{BASE}/job/next"
DESIRED, DEFAULTS = f"{BASE}/shadow/desired", f"fleeting/1/g/{GROUP}/desired"
HOME_ASSISTANT = "homeassistant/status"
COMMANDS = ("ping", "content", "pause", "resume", "report")
TEN_MEGABYTES = b'{"version":7,"config":{"a":"' + b"A" * 10_000_000 + b'"}}'

_ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 1.0, 300.0, 1e308, 2**31, 2**63, 10**40, "", "1", "\0", "\ud800",
    [], {}, [[]], {"a": 1}, [0] * 50, "A" * 300, "fleeting/1/d/other", "../../etc/passwd",
)  # fmt: skip
_BROKEN = (
    b"", b"{", b"}", b"null", b"true", b"NaN", b"-Infinity", b'{"version":NaN,"config":{}}',
    b'{"version":1e999,"config":{}}', b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b"\x00" * 64,
    b'{"version":9,"version":10,"config":{}}', b'{"config":{"privacy":{"k":9,"k":10}},"version":9}',
    b'{"version":' + b"9" * 4000 + b',"config":{}}', b"9" * 5000, b'"' + b"\\" * 4000,
    b'{"version":9,"config":{"privacy":{"k":20}}}{}', b"'{}'", b'{"version":0x9,"config":{}}',
    b'{"version":9,"config":{},}', b"\xc3\x28", b'{"\xed\xa0\x80":1}', b'"\xf5\x80\x80\x80"',
)  # fmt: skip
_TOPICS: tuple[str | None, ...] = (
    None, "", "/", BASE, f"{BASE}/", f"{BASE}/shadow", f"{DESIRED}/", f"{DESIRED}/x", f"/{DESIRED}",
    f"{BASE}/shadow/Desired", f"{BASE}/shadow/reported", f"{BASE}/job", f"{BASE}/state",
    f"{BASE}/summary", f"{BASE}/cmd", f"{BASE}/cmd/pause/x", f"{BASE}/res/ping", f"{BASE}/cmd/a/b",
    f"{BASE}x/shadow/desired", "fleeting/1/d/box-8/shadow/desired", "fleeting/1/d/+/shadow/desired",
    "fleeting/1/d/#", "fleeting/2/d/box-7/shadow/desired", "fleeting/1/d/../box-7/cmd/pause",
    "fleeting/1/g/other/desired", f"fleeting/1/g/{GROUP}/desired/x", "$SYS/broker/uptime",
    f"$share/a/{DESIRED}", f"{DESIRED}\0", f"{DESIRED}\n", "ﬂeeting/1/d/box-7/shadow/desired",
    "homeassistant/status/x", f"homeassistant/device/{DEVICE}/config", "A" * 65_000,
)  # fmt: skip
_NAMES = ("", "PING", "ping ", "pause\0", "reboot", "shell", "job", "..", "A" * 1000, "péng")


@dataclass(frozen=True, slots=True)
class Case:
    """One message and what is known of it beforehand."""

    topic: str | None
    payload: bytes
    flavour: str
    retain: bool = False
    correlation: bytes | None = None
    refused: bool = False
    """It must be counted as refused."""
    taken: bool = False
    """It must have its effect."""


class Cases:
    """Draws cases; `version` tells the newest version of (own, defaults) that was taken."""

    def __init__(self, seed: int, version: Callable[[], tuple[int, int]]) -> None:
        self._random = random.Random(seed)
        self._version = version
        self._kinds: tuple[tuple[int, Callable[[], Case]], ...] = (
            (1, self._wish), (1, self._command), (10, self._replay), (20, self._mutated),
            (10, self._noise), (8, self._bomb), (15, self._wrong_type), (12, self._topic),
            (10, self._bad_command), (5, self._retained_command), (4, self._unknown_command),
            (4, self._status), (8, self._job),
        )  # fmt: skip

    def draw(self) -> Case:
        weights = [weight for weight, _ in self._kinds]
        return self._random.choices(self._kinds, weights)[0][1]()

    def _where(self) -> str:
        return self._random.choice((DESIRED, DESIRED, DEFAULTS))

    def _document(self, ahead: int = 1, topic: str = DESIRED) -> dict[str, Any]:
        """A valid desired state; the policy allows every value, the site's own file some."""
        draw = self._random
        held = self._version()[topic == DEFAULTS]
        config: dict[str, dict[str, Any]] = {
            "privacy": {"k": draw.randint(10, 100), "window": draw.choice((300, 900, 3600))},
            "tracking": {"max_faces": draw.randint(1, 200)},
            "detection": {"tiles": draw.randint(0, 4)},
            "micro": {"enabled": draw.random() < 0.5},
        }
        for name in draw.sample(list(config), draw.randint(0, 3)):
            del config[name]
        return {"version": held + ahead, "config": config}

    def _wish(self) -> Case:
        topic = self._where()
        body = json.dumps(self._document(self._random.randint(1, 3), topic)).encode()
        return Case(topic, body, "wish", self._random.random() < 0.5, taken=True)

    def _command(self) -> Case:
        name = self._random.choice(COMMANDS)
        slot = str(self._random.randint(0, 255))
        body = self._random.choice((slot, f'{{"slot": {slot}}}')) if name == "content" else ""
        token = self._random.randbytes(8)
        return Case(f"{BASE}/cmd/{name}", body.encode(), "command", correlation=token)

    def _replay(self) -> Case:
        topic = self._where()
        document = self._document(topic=topic)
        held = document["version"] - 1
        document["version"] = self._random.randint(1, held) if held else 0
        older = document["version"] != held or not held
        return Case(topic, json.dumps(document).encode(), "replay", refused=older)

    def _mutated(self) -> Case:
        topic = self._where()
        body = bytearray(json.dumps(self._document(topic=topic)).encode())
        for _ in range(self._random.randint(1, 6)):
            at = self._random.randrange(len(body) + 1)
            how = self._random.randrange(4)
            if how == 0 and at < len(body):
                body[at] ^= 1 << self._random.randrange(8)
            elif how == 1:
                body[at:at] = self._random.choice((b'"', b"{", b"}", b"[", b",", b"-", b"9", b"\\"))
            elif how == 2:
                del body[at : at + self._random.randint(1, 9)]
            else:
                body[at:at] = body[: self._random.randint(0, 40)]
        return Case(topic, bytes(body), "mutated")

    def _noise(self) -> Case:
        if self._random.random() < 0.5:
            body = self._random.choice(_BROKEN)
        else:
            body = b"\x80" + self._random.randbytes(self._random.randint(0, 600))
        return Case(self._where(), body, "noise", refused=bool(body))

    def _bomb(self) -> Case:
        draw = self._random
        depth = draw.choice((5, 50, 1000, 2000))
        body = draw.choice((
            b"[" * depth, b"[" * depth + b"]" * depth, b'{"a":' * (depth // 3) + b"[[[[[[",
            b'{"version":9,"config":' + b'{"a":' * depth + b"1" + b"}" * (depth + 1),
            b'"' * depth + b"{", b'{"config":{},"version":' + b"1" * depth + b"}}",
            b"{" + b",".join(b'"%d":0' % n for n in range(300)) + b"}", b"[" * 4097, TEN_MEGABYTES,
        ))  # fmt: skip
        return Case(self._where(), body, "bomb", refused=True)

    def _wrong_type(self) -> Case:
        topic = self._where()
        document = self._document(topic=topic)
        holder: Any = document
        while True:
            key = self._random.choice([*holder, "new"]) if holder else "new"
            if isinstance(holder.get(key), dict) and self._random.random() < 0.7:
                holder = holder[key]
                continue
            holder[key] = self._random.choice(_ODD)
            break
        return Case(topic, json.dumps(document).encode(), "wrong type")

    def _topic(self) -> Case:
        body = self._random.choice((json.dumps(self._document()).encode(), b"", b"{}", b"7"))
        return Case(self._random.choice(_TOPICS), body, "topic", refused=True)

    def _bad_command(self) -> Case:
        name = self._random.choice(COMMANDS)
        odd = json.dumps(self._random.choice(_ODD)).encode()
        body = self._random.choice((*_BROKEN[1:], odd, b'{"slot":256}', b'{"slot":1,"x":2}', b"-1"))
        return Case(f"{BASE}/cmd/{name}", body, "bad command")

    def _retained_command(self) -> Case:
        name = self._random.choice(COMMANDS)
        return Case(f"{BASE}/cmd/{name}", b"", "retained command", retain=True, refused=True)

    def _unknown_command(self) -> Case:
        name = self._random.choice(_NAMES)
        token = self._random.randbytes(self._random.randint(0, 64))
        return Case(f"{BASE}/cmd/{name}", b"", "unknown command", correlation=token, refused=True)

    def _job(self) -> Case:
        """A job in which one thing is wrong, or that is no job."""
        draw = self._random
        document: dict[str, Any] = {
            "v": 1, "job": draw.randbytes(8).hex(), "kind": draw.choice(("app", "models")),
            "version": f"{draw.randint(0, 9999)}.{draw.randint(0, 99)}.0", "expires": None,
        }  # fmt: skip
        if draw.random() < 0.5:
            return Case(JOB, draw.choice(_BROKEN[1:]), "no job", draw.random() < 0.5, refused=True)
        key = draw.choice([*document, "new"])
        document[key] = draw.choice([each for each in _ODD if each not in (None, 1, True, 1.0)])
        return Case(JOB, json.dumps(document).encode(), "bad job", True, refused=True)

    def _status(self) -> Case:
        body = self._random.choice((b"Online", b"online\0", b"on", b"{}", b"1", b"\xff"))
        return Case(HOME_ASSISTANT, body, "status", refused=True)
