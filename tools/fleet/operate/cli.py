"""Verbs: status, devices, tag, group, config, rollout."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.fleet import settings


def _verb(module: str, function: str) -> Callable[[argparse.Namespace], int | None]:
    """Runs a function of a module of this room with the fleet's database."""

    def run(args: argparse.Namespace) -> int | None:
        import importlib

        from tools.fleet.store import open_store

        if args.verb == "tag":
            _tag_words(args)
        act = getattr(importlib.import_module(f"tools.fleet.operate.{module}"), function)
        with open_store(settings.store_url(args.fleet, settings.load(args.fleet))) as store:
            code: int | None = act(args, store)
        return code

    return run


def _tag_words(args: argparse.Namespace) -> None:
    """`-old` is a tag, `--json` an option: argparse cannot tell them apart."""
    parser = argparse.ArgumentParser(prog="fleeting-fleet tag", add_help=False)
    _common(parser)
    options = [word for word in args.words if word.startswith("--")]
    words = [word for word in args.words if not word.startswith("--")]
    if "--fleet" in options:
        at = args.words.index("--fleet") + 1
        folder = args.words[at] if at < len(args.words) else parser.error("--fleet needs a FOLDER")
        words.remove(folder)
        options[options.index("--fleet")] = f"--fleet={folder}"
    given = parser.parse_args(options)
    args.words = words
    args.json = args.json or given.json
    if any(word.startswith("--fleet") for word in options):
        args.fleet = given.fleet


def add(verbs: Any) -> None:
    """Put the verbs into `verbs`, an argparse subparsers action."""
    status = verbs.add_parser("status", help="the fleet at a glance")
    _common(status)
    status.set_defaults(run=_verb("look", "status"))

    devices = verbs.add_parser("devices", help="which devices there are; show ID: all of one")
    devices.add_argument("show", nargs="*", metavar="show ID")
    devices.add_argument("--group", metavar="NAME")
    devices.add_argument("--tag", metavar="TAG")
    devices.add_argument("--version", metavar="X.Y.Z", help="of the package; * and ? may be used")
    devices.add_argument("--state", choices=("online", "offline", "stale", "unknown", "revoked"))
    devices.add_argument("--select", metavar="QUERY", help="such as 'tag=floor1 and app<0.8.0'")
    _common(devices)
    devices.set_defaults(run=_verb("look", "devices"))

    tag = verbs.add_parser("tag", help="add and remove tags: tag ID... +floor1 -old")
    _common(tag)
    tag.add_argument("words", nargs=argparse.REMAINDER, metavar="ID... +TAG -TAG")
    tag.set_defaults(run=_verb("change", "tag"))

    group = verbs.add_parser("group", help="groups of devices that match a query")
    acts = group.add_subparsers(dest="act", required=True, metavar="ACT")
    one = acts.add_parser("set", help="devices that match, now and later")
    one.add_argument("name", metavar="NAME")
    one.add_argument("query", metavar="QUERY", help="such as 'tag=floor1 and not id=test-*'")
    _common(one)
    one = acts.add_parser("remove", help="and take back what it set")
    one.add_argument("name", metavar="NAME")
    _common(one)
    _common(acts.add_parser("list", help="all groups"))
    group.set_defaults(run=_verb("change", "group"))

    config = verbs.add_parser("config", help="settings that devices are wished to have")
    acts = config.add_subparsers(dest="act", required=True, metavar="ACT")
    one = acts.add_parser("set", help="PATH=VALUE; an empty value takes the wish back")
    one.add_argument("assignments", nargs="+", metavar="PATH=VALUE")
    whose = one.add_mutually_exclusive_group(required=True)
    _whose(whose)
    _common(one)
    one = acts.add_parser("show", help="wished, reported, in force, refused")
    _whose(one.add_mutually_exclusive_group())
    _common(one)
    config.set_defaults(run=_verb("change", "config"))

    _add_rollout(verbs)


def _add_rollout(verbs: Any) -> None:
    rollout = verbs.add_parser("rollout", help="updates in waves")
    acts = rollout.add_subparsers(dest="act", required=True, metavar="ACT")
    start = acts.add_parser("start", help="of a release, to the devices that are selected")
    start.add_argument("kind", choices=("app", "models"))
    start.add_argument("version", metavar="X.Y.Z")
    start.add_argument("--select", metavar="QUERY", help="such as 'tag=floor1'; default: all")
    start.add_argument("--group", metavar="NAME")
    start.add_argument("--tag", metavar="TAG")
    start.add_argument("--device", action="append", default=[], metavar="ID", help="repeat")
    start.add_argument("--waves", default="1%,10%,50%,100%", metavar="N,P%%,...",
                       help="counts or percentages; default: 1%%,10%%,50%%,100%%")  # fmt: skip
    start.add_argument("--abort", action="append", default=[], metavar="TYPE:PERCENT:LEAST",
                       help="halt when so many percent of LEAST or more executed jobs end as "
                       "FAILED, REJECTED, TIMED_OUT, ROLLED_BACK or ALL; repeat; default: "
                       "ALL:20:5")  # fmt: skip
    start.add_argument("--gate", action="append", default=[], metavar="NAME=VALUE",
                       help="between waves: succeeded=95, healthy=90 (percent), within=600, "
                       "soak=600 (seconds), FAILED=5 (at most, percent); repeat")  # fmt: skip
    start.add_argument("--timeout", type=int, default=7200, metavar="S",
                       help="seconds that a job may take once begun")  # fmt: skip
    start.add_argument("--away", type=int, default=600, metavar="S",
                       help="seconds offline after which another device goes first")  # fmt: skip
    start.add_argument("--continuous", action="store_true",
                       help="never ends: devices that appear later are updated too")  # fmt: skip
    start.add_argument("--force", action="store_true",
                       help="although the repository here lacks the release")  # fmt: skip
    _common(start)
    for act, text in (
        ("watch", "bars until it has ended"),
        ("pause", "begin nothing new"),
        ("resume", "go on"),
        ("abort", "end it for good"),
    ):
        one = acts.add_parser(act, help=text)
        one.add_argument("rollout", metavar="ROLLOUT", help="its id, or last")
        _common(one)
    _common(acts.add_parser("list", help="all roll-outs"))
    rollout.set_defaults(run=_verb("rollout", "rollout"))


def _whose(parser: Any) -> None:
    parser.add_argument("--device", action="append", metavar="ID", help="or a query; repeat")
    parser.add_argument("--group", metavar="NAME")


def _common(parser: Any) -> None:
    parser.add_argument("--fleet", type=Path, default=settings.FOLDER, metavar="FOLDER")
    parser.add_argument("--json", action="store_true", help="for a program")
