"""Verbs of roll-outs: start, list, pause, resume, abort."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.common.errors import ToolError
from tools.fleet.controller import query, rollouts
from tools.fleet.controller.plan import Plan, parse_rule, parse_waves, read_plan
from tools.fleet.operate.change import ask
from tools.fleet.operate.look import summary
from tools.fleet.operate.output import ago, as_json, console, many, table
from tools.fleet.store import Row, Store

_MOVES = {
    "pause": ("PAUSED", ("RUNNING",)),
    "resume": ("RUNNING", ("PAUSED",)),
    "abort": ("CANCELED", ("RUNNING", "PAUSED")),
}
"""What each verb makes of which roll-outs."""
_SAID = {
    "pause": "is paused: nothing new begins, jobs that were not begun are taken back",
    "resume": "goes on",
    "abort": "is canceled for good: jobs that were not begun are taken back, others end by "
    "themselves",
}


def rollout(args: argparse.Namespace, store: Store) -> int | None:
    if args.act == "start":
        return _start(args, store)
    if args.act == "list":
        return _list(args, store)
    if args.act == "watch":
        from tools.fleet.operate.watch import watch

        return watch(store, find(store, args.rollout)["rollout"], as_lines=args.json)
    return _move(args, store)


def find(store: Store, name: str) -> Row:
    """By id or its beginning; `last`: the newest. Raises `ToolError`."""
    rows = store.execute("SELECT * FROM rollouts ORDER BY created_at DESC")
    found = rows[:1] if name == "last" else [r for r in rows if r["rollout"].startswith(name)]
    if len(found) != 1:
        why = "There is no roll-out" if not found else "There are several roll-outs"
        raise ToolError(f"{why} {name!a}. See: fleeting-fleet rollout list")
    return found[0]


def plan(args: argparse.Namespace) -> Plan:
    """What was typed. Raises `ToolError`."""
    gates: dict[str, Any] = {"failed": {}}
    for each in args.gate:
        key, _, value = each.partition("=")
        try:
            number = float(value)
        except ValueError:
            raise ToolError(
                f"{each!r} is no gate. Give succeeded=95, healthy=90, within=600, soak=600 or a "
                "failure type with its highest percentage: FAILED=5."
            ) from None
        if key.isupper():
            gates["failed"][key] = number
        else:
            gates[key] = int(number) if key in ("within", "soak") else number
    terms = [args.select] * bool(args.select)
    terms += [f"group={args.group}"] * bool(args.group)
    terms += [f"tag={args.tag}"] * bool(args.tag)
    terms += [" or ".join(f"id={each}" for each in args.device)] * bool(args.device)
    fields: dict[str, Any] = {
        "kind": args.kind,
        "version": args.version,
        "selection": " and ".join(f"({each})" for each in terms) if len(terms) > 1 else
        terms[0] if terms else "all",
        "waves": parse_waves(args.waves),
        "gates": gates,
        "timeout": args.timeout,
        "away": args.away,
        "continuous": args.continuous,
    }  # fmt: skip
    if args.abort:
        fields["abort"] = tuple(map(parse_rule, args.abort))
    made = read_plan(**fields)
    query.parse(made.selection)
    return made


@dataclass(frozen=True, slots=True)
class Begun:
    """A roll-out that was started."""

    rollout: str
    devices: int
    """That it is for, as things are."""
    already: int
    """Of these: have the version."""
    warnings: tuple[str, ...]


def begin(store: Store, folder: Path, wanted: Plan, now: int, *, force: bool = False) -> Begun:
    """Start it. `folder`: the fleet's; `force`: without asking whether the release is published.
    Raises `ToolError`."""
    warnings = _check_target(folder, wanted, force)
    matches = query.parse(wanted.selection)
    chosen = [
        row[wanted.kind]
        for row, subject in rollouts.subjects(store)
        if row["revoked_at"] is None and matches(subject)
    ]
    same = store.execute(
        f"SELECT rollout, version FROM rollouts WHERE status IN {rollouts.ALIVE} AND kind = ?",
        (wanted.kind,),
    )
    with store.transaction():
        made = rollouts.insert(store, wanted, now)
        ask(store)
    if not chosen:
        warnings.append(f"no device matches {wanted.selection} yet")
    warnings += [
        f"roll-out {each['rollout']} ({wanted.kind} {each['version']}) goes on as well; "
        "a device gets one job at a time"
        for each in same
    ]
    done = sum(version == wanted.version for version in chosen)
    return Begun(made, len(chosen), done, tuple(warnings))


def _start(args: argparse.Namespace, store: Store) -> int:
    wanted = plan(args)
    made = begin(store, args.fleet, wanted, int(time.time()), force=args.force)
    for each in made.warnings:
        print(f"fleet: {each}", file=sys.stderr)
    if args.json:
        as_json({"rollout": made.rollout, "devices": made.devices, "already": made.already})
        return 0
    print(
        f"Roll-out {made.rollout}: {wanted.kind} {wanted.version} for {many(made.devices)} "
        f"({made.already} have it already), in waves of {', '.join(map(str, wanted.waves))}"
    )
    print(f"See it: fleeting-fleet rollout watch {made.rollout}")
    return 0


def _check_target(folder: Path, wanted: Plan, force: bool) -> list[str]:
    """A release that is not published would be rejected by every device. Warnings; raises
    `ToolError`."""
    from tools.fleet.repository.metadata import Layout, load

    if not (folder / "repository").is_dir():
        return [
            f"{folder / 'repository'} is not there, so nobody has looked whether "
            f"{wanted.kind} {wanted.version} exists"
        ]
    if force:
        return []
    target = f"{wanted.kind}/{wanted.kind}-{wanted.version}.tar.gz"
    if target not in load(Layout(folder)).delegated[wanted.kind].signed.targets:
        raise ToolError(
            f"{wanted.kind} {wanted.version} is not published in {folder / 'repository'}: no "
            "device could get it. See fleeting-fleet repo list, then repo add, sign and publish; "
            "or give --force where devices use another repository."
        )
    return []


def _list(args: argparse.Namespace, store: Store) -> int:
    now = int(time.time())
    rows = store.execute("SELECT * FROM rollouts ORDER BY created_at DESC LIMIT 50")
    found = [summary(store, row, now) for row in rows]
    if args.json:
        as_json(found)
        return 0
    made = table(
        "", "roll-out", "what", "selection", "status", "wave", "done", "failed", "open", "started",
        "waits for, or why it ended",
    )  # fmt: skip
    for each in found:
        jobs = each["jobs"]
        made.add_row(
            each["rollout"], f"{each['kind']} {each['version']}", each["selection"],
            each["status"], f"{each['wave'] + 1} of {each['waves']}",
            str(jobs.get("SUCCEEDED", 0)),
            str(sum(jobs.get(name, 0) for name in ("FAILED", "REJECTED", "TIMED_OUT"))),
            str(jobs.get("QUEUED", 0) + jobs.get("IN_PROGRESS", 0)), ago(each["created_at"]),
            each["waiting"] or "-",
        )  # fmt: skip
    console().print(made)
    return 0


def move(store: Store, name: str, act: str, now: int) -> tuple[str, str]:
    """Pause, resume or abort one, named as for `find`: its id, and what it is now. Raises
    `ToolError`."""
    status, of = _MOVES[act]
    row = find(store, name)
    ended = ", ended_at = ?, reason = 'an operator'" if act == "abort" else ""
    with store.transaction():
        moved = store.execute(
            f"UPDATE rollouts SET status = ?{ended} WHERE rollout = ?"
            f" AND status IN ({', '.join('?' * len(of))}) RETURNING rollout",
            (status, *((now,) if ended else ()), row["rollout"], *of),
        )
        ask(store)
    if not moved:
        now_is = find(store, row["rollout"])["status"]
        raise ToolError(
            f"Roll-out {row['rollout']} is {now_is}; {act} works on one that is "
            f"{' or '.join(of)}."
            + (" Start another one." if now_is in ("HALTED", "CANCELED", "SUCCEEDED") else "")
        )
    return row["rollout"], status


def _move(args: argparse.Namespace, store: Store) -> int:
    moved, status = move(store, args.rollout, args.act, int(time.time()))
    if args.json:
        as_json({"rollout": moved, "status": status})
    else:
        print(f"Roll-out {moved} {_SAID[args.act]}.")
    return 0
