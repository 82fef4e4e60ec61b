"""Verbs of roll-outs: start, list, pause, resume, abort."""

from __future__ import annotations

import argparse
import sys
import time
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


def _start(args: argparse.Namespace, store: Store) -> int:
    wanted = plan(args)
    _check_target(args.fleet, wanted, args.force)
    now = int(time.time())
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
    done = sum(version == wanted.version for version in chosen)
    if args.json:
        as_json({"rollout": made, "devices": len(chosen), "already": done})
        return 0
    if not chosen:
        print(f"fleet: no device matches {wanted.selection} yet", file=sys.stderr)
    for each in same:
        print(
            f"fleet: roll-out {each['rollout']} ({wanted.kind} {each['version']}) goes on as well; "
            "a device gets one job at a time",
            file=sys.stderr,
        )
    print(
        f"Roll-out {made}: {wanted.kind} {wanted.version} for {many(len(chosen))} "
        f"({done} have it already), in waves of {', '.join(map(str, wanted.waves))}"
    )
    print(f"See it: fleeting-fleet rollout watch {made}")
    return 0


def _check_target(folder: Path, wanted: Plan, force: bool) -> None:
    """A release that is not published would be rejected by every device. Raises `ToolError`."""
    from tools.fleet.repository.metadata import Layout, load

    if not (folder / "repository").is_dir():
        print(
            f"fleet: {folder / 'repository'} is not there, so nobody has looked whether "
            f"{wanted.kind} {wanted.version} exists",
            file=sys.stderr,
        )
        return
    if force:
        return
    target = f"{wanted.kind}/{wanted.kind}-{wanted.version}.tar.gz"
    if target not in load(Layout(folder)).delegated[wanted.kind].signed.targets:
        raise ToolError(
            f"{wanted.kind} {wanted.version} is not published in {folder / 'repository'}: no "
            "device could get it. See fleeting-fleet repo list, then repo add, sign and publish; "
            "or give --force where devices use another repository."
        )


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


def _move(args: argparse.Namespace, store: Store) -> int:
    status, of = _MOVES[args.act]
    row = find(store, args.rollout)
    now = int(time.time())
    ended = ", ended_at = ?, reason = 'an operator'" if args.act == "abort" else ""
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
            f"Roll-out {row['rollout']} is {now_is}; {args.act} works on one that is "
            f"{' or '.join(of)}."
            + (" Start another one." if now_is in ("HALTED", "CANCELED", "SUCCEEDED") else "")
        )
    if args.json:
        as_json({"rollout": row["rollout"], "status": status})
    else:
        print(f"Roll-out {row['rollout']} {_SAID[args.act]}.")
    return 0
