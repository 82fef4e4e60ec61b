"""Every kind of alert: when it is raised and ended, what it says, and what to do next.

`docs/alerts.md` is this table; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Severity = Literal["critical", "warning", "info"]
"""Critical: data are being lost or may be false. Warning: they soon will be, or are worse than
they could be. Info: to be known."""
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Most severe first."""

MINUTE, HOUR, DAY = 60, 3600, 86_400

JOINT_SHARE = 0.2
"""Of the fleet, with one beginning: one cause, told once. As `FleetingManyOffline` of rules.yml."""
JOINT_LEAST = 5
"""Devices; fewer are told one by one."""
HOT, COOL = 80, 70
"""Degrees Celsius, as devices say them, in tens: hot from, cool again at."""
CERTIFICATE_DAYS, CERTIFICATE_CRITICAL = 14, 3
"""Days left; devices renew after two thirds of a certificate's life."""
REFUSED_MANY = 10
"""Refused messages of a device in a day. As `FleetingQuarantine` of rules.yml."""
MANY_WAIT = 1000
"""Messages in a device's outbox."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of alert."""

    name: str
    severity: Severity
    """Unless what was found says otherwise."""
    raise_after: int
    """Seconds that it must hold before it is raised."""
    end_after: int
    """Seconds that it must not hold before it is ended."""
    what: str
    """Sentence for a person; `{names}` are keys of the alert's detail."""
    todo: str
    when: str
    """What must hold, in words."""
    until: str
    joint: str = ""
    """Sentence where many devices have it from one time on: `{devices}` of `{of}`. Empty: each
    device is told by itself."""
    every: int = MINUTE
    """Seconds between looks, at least."""


KINDS: tuple[Kind, ...] = (
    Kind(
        "offline", "warning", 10 * MINUTE, 5 * MINUTE,
        "The device is {state}.",
        "Is it powered, and does its network work? `fleeting check` there says what is wrong; its "
        "summaries wait in its outbox.",
        "the broker says that it is gone, or nothing came for 15 minutes and three of its windows",
        "it is heard again",
        "{devices} of {of} devices fell silent within an hour: one cause.",
    ),
    Kind(
        "absent", "critical", 15 * MINUTE, 15 * MINUTE,
        "The device is connected, but its seeing half does not run.",
        "On the device: `systemctl status fleeting-perceive`, then its journal.",
        "its health says `absent`",
        "its health says something else",
        "The seeing half of {devices} of {of} devices stopped within an hour.",
    ),
    Kind(
        "camera", "critical", 5 * MINUTE, 30 * MINUTE,
        "The camera gives no usable picture ({state}).",
        "Check its cable, its power, and what stands before it; then `fleeting aim` on the device.",
        "its health says `stalled`, or an event of the last day that it stalled, is frozen or "
        "green; warning: an event of the last 6 hours that it is black or covered",
        "it restarted or its health says `running` after that; black or covered: 6 hours passed",
    ),
    Kind(
        "microphone", "warning", 5 * MINUTE, 30 * MINUTE,
        "The microphone, or what makes words of it, does not work ({state}).",
        "Check the microphone's cable; voices are withheld until it is back.",
        "an event of the last 7 days that it stalled, with no restart after it, or of the last day "
        "that the transcriber failed",
        "it restarted, or so much time passed",
    ),
    Kind(
        "hot", "warning", 10 * MINUTE, HOUR,
        "The board is too hot ({temperature} degrees, perception {state}).",
        "Give it air, a heat sink, a cooler place; or lower source.fps.",
        f"its health says `hot`, or {HOT} degrees or more",
        f"its health says neither, and at most {COOL} degrees",
        "{devices} of {of} devices became too hot within an hour.",
    ),
    Kind(
        "power", "warning", 10 * MINUTE, 6 * HOUR,
        "The board has too little power ({state}).",
        "Use the supply that the board's maker sells, and a short cable.",
        "its health says `undervolt` or `throttled`",
        "its health says neither",
    ),
    Kind(
        "clock", "warning", HOUR, 10 * MINUTE,
        "The device's clock is not trusted, so its windows have no time of day.",
        "Does it reach a time server? `timedatectl` there; a clock with a battery helps where it "
        "does not.",
        "its health says clock `none`",
        "its health says another",
        "The clocks of {devices} of {of} devices lost their trust within an hour.",
    ),
    Kind(
        "disk", "warning", 10 * MINUTE, 30 * MINUTE,
        "The disk is {state}.",
        "Free space on the device; when it is full new summaries are lost.",
        "its health says disk `low`; critical: `full`",
        "its health says `ample`",
    ),
    Kind(
        "outbox", "warning", HOUR, 30 * MINUTE,
        "Summaries pile up on the device: {waiting} or more wait.",
        "Is its way to the broker slow or broken? `journalctl -u fleeting-uplink` there. Beyond "
        "its limits the oldest are dropped.",
        f"its health says that {MANY_WAIT} messages or more wait",
        "fewer wait",
    ),
    Kind(
        "lost", "critical", 0, DAY,
        "The device lost or damaged stored data ({codes}).",
        "Look at its disk and its journal; `fleeting-fleet receipts verify "
        "--device ID` says what is missing.",
        "an event that messages were dropped, could not be stored, or that the outbox was "
        "damaged or altered",
        "no such event came for two days",
    ),
    Kind(
        "gap", "warning", 30 * MINUTE, 10 * MINUTE,
        "{missing} numbers of its messages were left out and did not come later.",
        "`fleeting-fleet gaps` lists them; `fleeting-fleet receipts verify --device ID` says "
        "whether they were released.",
        "numbers are missing that were found missing within the last 7 days",
        "they came, or 7 days passed: the broker keeps none for longer",
        "Messages of {devices} of {of} devices are missing since the same hour.",
        every=5 * MINUTE,
    ),
    Kind(
        "receipt", "warning", 0, HOUR,
        "Its daily receipts do not hold: {state}.",
        "`fleeting-fleet receipts verify --device ID` says which. Forged or altered ones: take the "
        "device out (`fleeting-fleet revoke ID`) and look at who had access.",
        "the receipts of the last 7 days have a break, or none came for 60 hours of summaries; "
        "critical: one is forged, or summaries are missing or altered",
        "all of the last 7 days are valid",
        every=10 * MINUTE,
    ),
    Kind(
        "withheld", "info", DAY, 2 * DAY,
        "{share} % of its windows of the last 7 days were withheld, {expected} % were to be "
        "expected with so many visits.",
        "Visits come in bursts, or its windows are too short for its place: a longer "
        "privacy.window (`fleeting-fleet config set`) publishes more of them. `fleeting plan` "
        "shows what each length gives.",
        "of 200 windows or more in 7 days the withheld share is 15 points above what the policy "
        "withholds of Poisson visits with the same means by hour, which chance explains once in a "
        "million",
        "it is not",
        every=HOUR,
    ),
    Kind(
        "visits", "warning", 0, 12 * HOUR,
        "{visits} visits in {hours} hours; {usual} were usual at these hours of the week (95 %: "
        "{low} to {high}).",
        "Was it a holiday, or is the camera turned, dirty or blocked? `fleeting aim` on the "
        "device.",
        "24 hours, 3 days or 7 have, with all that withheld windows may still hold, less than half "
        "the visits of the same hours 1 to 8 weeks before (4 at least), which noise and differing "
        "weeks explain once in 100,000 looks",
        "they have three quarters of them, or chance explains them",
        "{devices} of {of} devices have fewer visits than usual from the same day on: a holiday?",
        every=HOUR,
    ),
    Kind(
        "takeover", "critical", 0, DAY,
        "Two devices use this id: {returns} returns to an earlier start and {conflicts} numbers "
        "used twice in a day.",
        "Somebody copied its key, or a card was cloned: `fleeting-fleet revoke ID`, then enrol "
        "each anew under an id of its own.",
        "its health went back to an earlier start twice or more in 24 hours, or messages came "
        "under numbers that others already have",
        "neither for 24 hours",
        every=5 * MINUTE,
    ),
    Kind(
        "quota", "warning", 0, HOUR,
        "The device wanted to say more in a day than an honest one does ({times} times).",
        "If no more content slots were used than `content.slots` allows, its seeing half may be in "
        "wrong hands: set it up anew.",
        "an event `quota_exceeded` within 24 hours",
        "none for 24 hours",
    ),
    Kind(
        "certificate", "warning", 0, HOUR,
        "Its certificate ends in {days} days; renewal does not work.",
        "On the device: `systemctl status fleeting-renew.timer`; here: `fleeting-fleet "
        "enrolments`.",
        f"it ends within {CERTIFICATE_DAYS} days; critical: within {CERTIFICATE_CRITICAL}",
        "it was renewed",
        "The certificates of {devices} of {of} devices end at the same time.",
        every=10 * MINUTE,
    ),
    Kind(
        "update", "warning", 0, 5 * MINUTE,
        "Its last update, {target} {version}, did not succeed: {status} ({reason}).",
        "It runs on the version before. `fleeting-fleet devices show ID`, `fleeting-fleet rollout "
        "list`; untrusted, floor, unlisted or too_large: compare the repository with your copy "
        "before anything else.",
        "its newest job ended within 7 days as FAILED, TIMED_OUT or REJECTED, or an event said "
        "that an update was rolled back; critical: it refuses what the repository serves",
        "a later one is under way or succeeded, or 7 days passed",
        "The update of {devices} of {of} devices failed within an hour.",
    ),
    Kind(
        "rollout", "critical", 0, 5 * MINUTE,
        "A roll-out halted by itself: {rollouts}.",
        "`fleeting-fleet rollout list`; repair the release and give it a new version.",
        "a roll-out of the last 7 days is HALTED",
        "none is",
    ),
    Kind(
        "settings", "warning", 5 * MINUTE, 5 * MINUTE,
        "The device refuses settings: {refused}.",
        "`fleeting-fleet config show --device ID` says why; take the wish back, or change the "
        "site's file.",
        "its reported settings name refused ones",
        "they do not",
        "{devices} of {of} devices refuse settings since the same hour.",
    ),
    Kind(
        "sandbox", "critical", 0, 10 * MINUTE,
        "Its sandbox is weaker than it was: {openings}.",
        "Was the kernel, a unit or the image changed? `fleeting check` there; until it is closed "
        "again do not trust what it says of its privacy.",
        "its birth names an opening that it once found closed, or lacks a layer that it had",
        "it is as closed as it was",
        "The sandboxes of {devices} of {of} devices became weaker within an hour.",
    ),
    Kind(
        "refused", "warning", 0, HOUR,
        "{messages} of its messages were refused in 24 hours ({reasons}).",
        "`fleeting-fleet quarantine` shows them. A newer release than the collector's, or a "
        "device in wrong hands: `fleeting-fleet revoke ID`.",
        f"more than {REFUSED_MANY} of its messages within 24 hours are in quarantine",
        "no more than that",
        every=5 * MINUTE,
    ),
)  # fmt: skip
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}


class _Blanks(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


def sentence(kind: str, device: str, detail: Mapping[str, Any]) -> str:
    """What happened."""
    found = BY_NAME.get(kind)
    if found is None:
        return kind
    text = found.what if device or not found.joint else found.joint
    return text.format_map(_Blanks(detail))


def advice(kind: str, device: str) -> str:
    """What to do next."""
    found = BY_NAME.get(kind)
    if found is None:
        return ""
    if not device and found.joint:
        return f"Look for what they have in common before you look at single ones. {found.todo}"
    return found.todo.replace(" ID", f" {device}")
