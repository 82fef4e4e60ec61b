"""Sentences with an anchor, a room and what to do; and a line of a log found among them."""

from __future__ import annotations

import html
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

from tools.docs import markdown
from tools.docs.messages import others
from tools.docs.messages.sentence import REMEDY, Kind
from tools.docs.messages.walk import sentences

_SPLIT = re.compile(r"(?<=[a-z0-9)\"'\0…%])[.:!?]\s+(?=[A-Z`])")
_SLUG_WORDS = 9


@dataclass(frozen=True, slots=True)
class Room:
    """Where messages come from."""

    begin: tuple[str, ...]
    """Of the modules' names."""
    title: str
    otherwise: str
    """What to do where the sentence itself does not say."""


ROOMS = (
    Room(
        ("agent/desk/check",),
        "What `fleeting check` says",
        "A line that begins with `ok` asks for nothing.",
    ),
    Room(
        ("agent/base/schemas",),
        "Schemas",
        "A change made a message open or unbounded: [contributing](../CONTRIBUTING.md).",
    ),
    Room(
        ("agent/base", "agent/cli", "agent/wall/remote_settings"),
        "Settings and files",
        "Correct the setting that is named; [configuration](configuration.md) lists all.",
    ),
    Room(
        (others.VALUES,),
        "Values of settings",
        "The sentence stands behind the key's name: correct that value; "
        "[configuration](configuration.md) lists type and bounds of all.",
    ),
    Room(
        (others.COMMAND_LINE,),
        "Command lines",
        "`--help` behind the verb lists what it takes; so do [commands](commands.md). Exit code 2.",
    ),
    Room(
        others.SCRIPTS,
        "Setting up and installing",
        "See [installing](install.md).",
    ),
    Room(
        ("agent/privacy",),
        "Policies, profiles, signatures",
        "Correct the policy's settings or the profile; [for privacy officers](privacy-officer.md).",
    ),
    Room(
        ("agent/perceive/capture", "agent/perceive/camera_exits"),
        "Cameras, microphones, video files",
        "See [cameras](cameras.md), [formats](formats.md); `fleeting check` tries it anew.",
    ),
    Room(
        ("agent/perceive",),
        "The process that sees",
        "Nothing: it goes on by itself. `fleeting check` says how it is.",
    ),
    Room(
        ("agent/inference", "agent/kernels", "agent/vision", "agent/voice", "agent/text"),
        "Models and kernels",
        "Install the package again: its models or kernels are not as they were released.",
    ),
    Room(
        ("agent/wall", "agent/uplink/warden"),
        "Outbox and quotas",
        "Nothing: what is damaged is moved aside and named, and begun anew.",
    ),
    Room(
        ("agent/uplink/enrol",),
        "Enrolment",
        "Ask whoever runs the fleet for a new bundle; [a fleet](fleet.md).",
    ),
    Room(
        ("agent/uplink/receipt", "agent/desk/receipt"),
        "Receipts",
        "Compare with what device and collector keep; [receipts](privacy-officer.md#receipts).",
    ),
    Room(
        ("agent/uplink",),
        "Broker and uplink",
        "Nothing at once: summaries wait, and it is tried again. [The broker](broker.md).",
    ),
    Room(
        ("agent/host",),
        "Sandbox, services, board",
        "See what the kernel offers: `python -m agent.host.sandbox`, `fleeting check`.",
    ),
    Room(
        ("agent/update",),
        "Updates",
        "Nothing on the device: the version in force stays. The fleet sees the reason.",
    ),
    Room(
        ("agent/desk/audit",),
        "`fleeting audit`",
        "A finding: something left or was written that an honest build does not write. Report it.",
    ),
    Room(
        ("agent/desk/spot", "agent/desk/coding"),
        "`fleeting spot` and `convert`",
        "Correct the file that is named; [for researchers](researcher.md).",
    ),
    Room(
        ("agent/desk/read", "agent/desk/plan"),
        "`agent.desk.read` and `fleeting plan`",
        "See [reading the numbers](reading.md).",
    ),
    Room(
        ("agent/desk/still",),
        "`fleeting inspect`: pictures",
        "See [formats](formats.md).",
    ),
    Room(
        ("agent",),
        "Other verbs of `fleeting`",
        "Correct what is named, and run the command again.",
    ),
    Room(
        ("tools/fleet/enrolment", "tools/fleet/broker"),
        "`fleeting-fleet`: authorities, broker, enrolment",
        "See [enrolment](../tools/fleet/enrolment/README.md).",
    ),
    Room(
        ("tools/fleet/repository",),
        "`fleeting-fleet`: keys and releases",
        "See [keys and releases](../tools/fleet/repository/README.md).",
    ),
    Room(
        ("tools/fleet",),
        "`fleeting-fleet`: the other verbs and services",
        "See [running a fleet](../tools/fleet/README.md).",
    ),
)
_ALONE: dict[Kind, str] = {
    "error": "as above",
    "warning": "as above",
    "note": "nothing: it says what happens",
}


@dataclass(frozen=True, slots=True)
class Message:
    """One sentence, with its place on the page."""

    anchor: str
    what: str
    """The first sentence, placeholders between NUL."""
    remedy: str
    """The rest, likewise; empty where it says nothing to do."""
    kind: Kind
    family: str
    room: Room

    @property
    def pattern(self) -> re.Pattern[str]:
        """What a line that was said looks like, anywhere within it."""
        parts = self.what.split("\0")
        return re.compile(
            "".join(re.escape(part) if at % 2 == 0 else ".*?" for at, part in enumerate(parts)),
            re.DOTALL,
        )

    @property
    def weight(self) -> int:
        """Characters that are literal."""
        return sum(len(part) for part in self.what.split("\0")[::2])


@cache
def messages() -> tuple[Message, ...]:
    """Every sentence, in order of rooms; one that several modules say stands once in a room."""
    found: dict[tuple[str, str, str], Message] = {}
    names: Counter[str] = Counter()
    rooms = {room.title: number for number, room in enumerate(ROOMS)}
    said = [(_room(each.module), each) for each in sentences()]
    for room, each in sorted(said, key=lambda pair: rooms[pair[0].title]):
        what, remedy = _split(each.text)
        if (room.title, what, remedy) in found:
            continue
        name = _anchor(what)
        names[name] += 1
        anchor = f"{name}-{names[name]}" if names[name] > 1 else name
        found[room.title, what, remedy] = Message(
            anchor, what, remedy, each.kind, each.family, room
        )
    return tuple(found.values())


def find(line: str) -> list[Message]:
    """Messages that this line may be or hold, the likeliest first."""
    fits = [each for each in messages() if each.weight >= 8 and each.pattern.search(line)]
    return sorted(fits, key=lambda each: -each.weight)


def shown(text: str) -> str:
    """As HTML: literal parts as code, placeholders as variables."""
    parts = text.split("\0")
    inner = "".join(
        html.escape(part, quote=False) if at % 2 == 0 else f"<var>{html.escape(part)}</var>"
        for at, part in enumerate(parts)
    )
    return f"<code>{inner.replace('|', '&#124;').replace('`', '&#96;')}</code>"


def page() -> str:
    """Markdown: a table for each room."""
    out = []
    for room in ROOMS:
        rows = [each for each in messages() if each.room is room]
        if not rows:
            continue
        out.append(
            f"## {room.title}\n\nWhere the sentence does not say what to do: {room.otherwise}\n"
        )
        out.append(markdown.table(["message", "what to do"], [_row(each) for each in rows]))
    return "\n".join(out)


def _row(each: Message) -> list[str]:
    here = f'<a id="{each.anchor}" href="#{each.anchor}" class="here">#</a>&nbsp;{shown(each.what)}'
    if each.kind == "part":
        here += " <small>(part of a line)</small>"
    plain = each.remedy.replace("\0", "*") if each.remedy.count("\0") else each.remedy
    return [here, plain or _ALONE.get(each.kind, " ")]


def _room(module: str) -> Room:
    return next(room for room in ROOMS if module.startswith(room.begin))


def _split(text: str) -> tuple[str, str]:
    """What happened, and what to do."""
    if REMEDY in text:
        what, _, remedy = text.partition(REMEDY)
        return what, remedy
    match = _SPLIT.search(text)
    if match is None or len(text[: match.start()].replace("\0", "")) < 8:
        return text, ""
    return text[: match.start() + 1].rstrip(), text[match.end() :]


def _anchor(what: str) -> str:
    plain = re.sub("\0.*?\0", " ", what)
    words = re.findall(r"[a-z0-9]+", plain.lower())[:_SLUG_WORDS]
    return f"m-{'-'.join(words)}"
