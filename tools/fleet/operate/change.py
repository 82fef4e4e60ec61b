"""Verbs that sort devices and set what they are wished to do: tag, group, config."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from typing import Any

from tools.common.errors import ToolError
from tools.fleet.controller import query, rollouts, wishes
from tools.fleet.operate.look import device
from tools.fleet.operate.output import ago, as_json, console, many, shown, table
from tools.fleet.store import Store

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def ask(store: Store) -> None:
    """Have the controller look at once."""
    store.execute("UPDATE asked SET number = number + 1 WHERE name = 'controller'")


def name(text: str, what: str) -> str:
    """Raises `ToolError` unless it can be the name of a tag or group."""
    if not _NAME.fullmatch(text):
        raise ToolError(f"{text!a} cannot be a {what}: 1 to 64 letters, digits, - and _.")
    return text


def tag(args: argparse.Namespace, store: Store) -> None:
    """`ID... +new -old`; a word with `=` is a query."""
    words: Sequence[str] = args.words
    add = [name(word[1:], "tag") for word in words if word[0] == "+"]
    drop = [name(word[1:], "tag") for word in words if word[0] == "-"]
    named = [word for word in words if word[0] not in "+-"]
    if not named or not (add or drop):
        raise ToolError("Give devices and tags: tag box-1 box-2 +floor1 -old")
    with store.transaction():
        chosen = _devices(store, named)
        for each in add:
            store.executemany(
                "INSERT INTO tags (device, tag) VALUES (?, ?) ON CONFLICT DO NOTHING",
                [(one, each) for one in chosen],
            )
        for each in drop:
            store.executemany(
                "DELETE FROM tags WHERE device = ? AND tag = ?", [(one, each) for one in chosen]
            )
        ask(store)
    if args.json:
        as_json({"devices": chosen, "added": add, "removed": drop})
    else:
        said = " ".join([*(f"+{each}" for each in add), *(f"-{each}" for each in drop)])
        print(f"{many(len(chosen))}: {said}")


def _devices(store: Store, named: Sequence[str]) -> list[str]:
    """Ids, and those that queries match; in order, each once."""
    found: dict[str, None] = {}
    for word in named:
        if "=" in word or word == "all":
            matches = query.parse(word)
            for _, subject in rollouts.subjects(store):
                if matches(subject):
                    found[subject.id] = None
        else:
            found[device(store, word)["device"]] = None
    if not found:
        raise ToolError(f"No device matches {' '.join(named)}. See: fleeting-fleet devices")
    return list(found)


def group(args: argparse.Namespace, store: Store) -> None:
    """set NAME QUERY, remove NAME, list."""
    if args.act == "set":
        name(args.name, "group")
        matches = query.parse(args.query)
        if re.search(r"\bgroup\b", args.query):
            raise ToolError("A group's query cannot ask for groups. Ask for tags.")
        with store.transaction():
            store.execute(
                "INSERT INTO groups (name, query) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET query = excluded.query",
                (args.name, args.query),
            )
            ask(store)
            now = [subject.id for _, subject in rollouts.subjects(store) if matches(subject)]
        if args.json:
            as_json({"name": args.name, "query": args.query, "devices": sorted(now)})
        else:
            print(f"{args.name}: {many(len(now))} now for {args.query}")
    elif args.act == "remove":
        with store.transaction():
            gone = store.execute("DELETE FROM groups WHERE name = ? RETURNING name", (args.name,))
            store.execute("DELETE FROM group_desired WHERE name = ?", (args.name,))
            ask(store)
        if not gone:
            raise ToolError(f"There is no group {args.name!a}. See: fleeting-fleet group list")
        if not args.json:
            print(f"{args.name} is removed; what it set is taken back from its devices.")
    else:
        counts: dict[str, int] = {}
        for _, subject in rollouts.subjects(store):
            for each in subject.groups:
                counts[each] = counts.get(each, 0) + 1
        rows = store.execute("SELECT name, query FROM groups ORDER BY name")
        found = [row | {"devices": counts.get(row["name"], 0)} for row in rows]
        if args.json:
            as_json(found)
            return
        made = table("", "group", "query", "devices", right=("devices",))
        for row in found:
            made.add_row(row["name"], row["query"], str(row["devices"]))
        console().print(made)


def config(args: argparse.Namespace, store: Store) -> None:
    """set PATH=VALUE..., show."""
    if args.act == "show":
        _show(args, store)
        return
    values = dict(wishes.parse_assignment(each) for each in args.assignments)
    said = wish(store, values, int(time.time()), devices=args.device or (), group=args.group or "")
    if args.json:
        as_json(said | {"set": values})
        return
    text = ", ".join(f"{key} = {_text(value)}" for key, value in values.items())
    if args.device:
        print(f"{many(len(said['devices']))}: {text}")
    elif said["saved"]:
        print(f"group {args.group}: {text}; for every device that matches its query, now or later")
    else:
        print(
            f"group {args.group}: {text}; for devices whose own configuration names this group "
            "(no query of this name is saved: fleeting-fleet group set)"
        )


def wish(
    store: Store,
    values: dict[str, int | bool | None],
    now: int,
    *,
    devices: Sequence[str] = (),
    group: str = "",
) -> dict[str, Any]:
    """Wish settings for devices (ids and queries) or else for a group; None takes a wish back.
    What was done, for a program. Raises `ToolError`."""
    with store.transaction():
        if devices:
            for each in (names := _devices(store, devices)):
                _wish(store, each, values, now)
            said: dict[str, Any] = {"devices": names}
        else:
            said = _default(store, name(group, "group"), values, now)
        ask(store)
    return said


def _text(value: int | bool | None) -> str:
    return "as the site says" if value is None else str(value).lower()


def _merged(before: str, values: dict[str, int | bool | None]) -> dict[str, int | bool]:
    merged = wishes.from_text(before) | values
    return {key: value for key, value in merged.items() if value is not None}


def _wish(store: Store, device: str, values: dict[str, int | bool | None], now: int) -> None:
    rows = store.execute("SELECT config FROM wished WHERE device = ?", (device,))
    merged = _merged(rows[0]["config"] if rows else "{}", values)
    store.execute(
        "INSERT INTO wished (device, config, changed_at) VALUES (?, ?, ?) ON CONFLICT (device)"
        " DO UPDATE SET config = excluded.config, changed_at = excluded.changed_at",
        (device, wishes.to_text(merged), now),
    )


def _default(
    store: Store, group: str, values: dict[str, int | bool | None], now: int
) -> dict[str, Any]:
    rows = store.execute("SELECT version, config FROM group_desired WHERE name = ?", (group,))
    merged = _merged(rows[0]["config"] if rows else "{}", values)
    version = wishes.next_version(rows[0]["version"] if rows else 0)
    store.execute(
        "INSERT INTO group_desired (name, version, config, changed_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET version = excluded.version,"
        " config = excluded.config, changed_at = excluded.changed_at",
        (group, version, wishes.to_text(merged), now),
    )
    saved = bool(store.execute("SELECT 1 AS one FROM groups WHERE name = ?", (group,)))
    return {"group": group, "saved": saved, "config": merged}


def _show(args: argparse.Namespace, store: Store) -> None:
    rows = [device(store, each) for each in args.device or ()]
    if not rows and not args.group:
        rows = store.execute(
            "SELECT * FROM devices WHERE device IN (SELECT device FROM desired) ORDER BY device"
        )
    groups = store.execute("SELECT * FROM group_desired ORDER BY name")
    if args.group:
        groups = [each for each in groups if each["name"] == args.group]
    found = {
        "groups": [
            {
                "group": each["name"],
                "version": each["version"],
                "config": wishes.from_text(each["config"]),
                "changed_at": each["changed_at"],
            }
            for each in groups
        ],
        "devices": [device_config(store, row["device"], row["reported"]) for row in rows],
    }
    if args.json:
        as_json(found)
        return
    out = console()
    if found["groups"] and not args.device:
        made = table("Groups", "group", "version", "wished", "changed")
        for each in found["groups"]:
            made.add_row(
                each["group"], str(each["version"]), _pairs(each["config"]),
                ago(each["changed_at"]),
            )  # fmt: skip
        out.print(made)
    made = table("Devices", "device", "wished", "version", "reported", "in force", "refused")
    for each in found["devices"]:
        made.add_row(
            each["device"], _pairs(each["wished"]), shown(each["version"]),
            shown(each["reported_version"]), _pairs(each["in_force"]),
            ", ".join(f"{one['path']}: {one['reason']}" for one in each["rejected"]) or "-",
        )  # fmt: skip
    out.print(made)


def device_config(store: Store, device: str, body: str | None) -> dict[str, Any]:
    """What a device is wished to have, has and refused. `body`: what it reported, as stored."""
    rows = store.execute("SELECT version, config FROM desired WHERE device = ?", (device,))
    reported = wishes.parse_reported(body)
    force = {
        f"{section}.{key}": value
        for section, values in (reported.config.model_dump().items() if reported else ())
        for key, value in values.items()
    }
    return {
        "device": device,
        "wished": wishes.from_text(rows[0]["config"]) if rows else {},
        "version": rows[0]["version"] if rows else None,
        "reported_version": reported.version if reported else None,
        "in_force": force,
        "rejected": [each.model_dump() for each in reported.rejected] if reported else [],
    }


def _pairs(values: dict[str, Any]) -> str:
    return " ".join(f"{key}={str(value).lower()}" for key, value in values.items()) or "-"
