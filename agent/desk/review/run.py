"""`fleeting review`: what each of its actions does."""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from agent.base.config import AgentConfig
from agent.base.names import one_line
from agent.base.settings_file import load
from agent.desk.review.arguments import ACTIONS
from agent.desk.review.errors import ReviewError

if TYPE_CHECKING:
    from agent.desk.review.study import Study


Stopper = Callable[[], threading.Event]


def run(args: argparse.Namespace, config: Path | None, stop: Stopper) -> int:
    """`config`: the device's; `stop`: makes what ends the page. Returns the exit code. Raises
    `AgentError`."""
    if args.what not in ACTIONS:
        return _look(args, Path(args.what), stop)
    actions: dict[str, Callable[[argparse.Namespace, Path | None], int]] = {
        "keys": _keys, "session": _session, "withdraw": _withdraw, "import": _import,
        "export": _export, "agreement": _agreement, "log": _log,
    }  # fmt: skip
    return actions[args.what](args, config)


def _look(args: argparse.Namespace, folder: Path, stop: Stopper) -> int:
    from agent.desk.review.answers import check_rater
    from agent.desk.review.page import Page
    from agent.desk.review.server import Server

    if args.rest:
        raise ReviewError(f"One folder is looked at; {one_line(args.rest[0])} is one too many.")
    if not args.rater:
        raise ReviewError("Who answers? Say it with --rater NAME.")
    rater = check_rater(args.rater)
    study = _opened(args, folder)
    page = Page(folder, study.open("opened", rater=rater), rater, blind=args.blind)
    try:
        server = Server(page, args.port)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or "no such port"
        raise ReviewError(f"Port {args.port} cannot be used: {why}.") from None
    ended = stop()
    with server:
        if args.json:
            print(json.dumps({"address": server.address}), flush=True)
        else:
            print(f"Open this once: {server.address}\nIt ends with Ctrl-C.", flush=True)
        thread = threading.Thread(target=server.serve_forever, name="page", daemon=True)
        thread.start()
        ended.wait()
        server.shutdown()
        thread.join()
    return 0


def _opened(args: argparse.Namespace, folder: Path) -> Study:
    """The study with its key, where it needs one."""
    from agent.desk.review import keys
    from agent.desk.review.study import Study

    if not folder.is_dir():
        raise ReviewError(f"There is no folder {one_line(folder)}.")
    key = None
    if Study(folder).needs_key and args.key is not None:
        key = keys.load(args.key, keys.ask(args.passphrase_file, new=False))
    return Study(folder, key, args.fps)


def _keys(args: argparse.Namespace, config: Path | None) -> int:
    from agent.desk.review import keys

    if args.out is None:
        raise ReviewError("Where to? fleeting review keys --out FOLDER")
    private, public = keys.make(args.out, keys.ask(args.passphrase_file, new=True))
    if args.json:
        print(json.dumps({"private": str(private), "public": str(public)}))
    else:
        print(
            f"{one_line(private)}: keep it, and a copy, off the devices; without it and its "
            f"passphrase no trace opens.\n{one_line(public)}: copy it to each device, and name it "
            "in research.key."
        )
    return 0


def _session(args: argparse.Namespace, config: Path | None) -> int:
    from agent.desk.review import session

    loaded = load(config) if config else AgentConfig()
    if args.end:
        return session.end(loaded, as_json=args.json)
    return session.begin(loaded, args.minutes, as_json=args.json)


def _withdraw(args: argparse.Namespace, config: Path | None) -> int:
    from agent.desk.review.session import folder_of
    from agent.desk.review.study import withdraw_code

    if not args.rest:
        raise ReviewError("Which session? fleeting review withdraw CODE [FOLDER …]")
    code, *named = args.rest
    loaded = load(config) if config else AgentConfig()
    folders = [Path(each) for each in named] or [folder_of(loaded)]
    found = withdraw_code(code, folders)
    if args.json:
        print(json.dumps({"deleted": {str(path): n for path, n in found.items()}}))
    else:
        for path, n in found.items():
            print(f"{one_line(path)}: {n} files deleted; copies will be refused here.")
    return 0


def _import(args: argparse.Namespace, config: Path | None) -> int:
    from agent.desk.review.study import fetch

    if len(args.rest) != 2:
        raise ReviewError("From where, and to where? fleeting review import FROM FOLDER")
    source, folder = map(Path, args.rest)
    if not source.is_dir():
        raise ReviewError(f"There is no folder {one_line(source)}.")
    found = fetch(source, folder)
    if args.json:
        print(json.dumps({"copied": found.copied, "known": found.known, "refused": found.refused}))
    else:
        print(
            f"{found.copied} files copied, {found.known} were here, {found.refused} refused: "
            "withdrawn."
        )
    return 0


def _export(args: argparse.Namespace, config: Path | None) -> int:
    from agent.desk.review.export import export

    if len(args.rest) != 1 or args.out is None or args.format is None:
        raise ReviewError("fleeting review export FOLDER --format KIND --out FOLDER")
    written = export(_opened(args, Path(args.rest[0])), args.out, args.format, args.rater)
    if args.json:
        print(json.dumps({"files": [str(each) for each in written]}))
    else:
        print("\n".join(map(one_line, written)))
    return 0


def _agreement(args: argparse.Namespace, config: Path | None) -> int:
    from agent.desk.review.agreement import agree, show

    if len(args.rest) != 1:
        raise ReviewError("Of which study? fleeting review agreement FOLDER")
    raters = args.raters.split(",") if args.raters else []
    show(agree(Path(args.rest[0]), raters), as_json=args.json)
    return 0


def _log(args: argparse.Namespace, config: Path | None) -> int:
    from agent.desk.review import journal

    if len(args.rest) != 1:
        raise ReviewError("Of which study? fleeting review log FOLDER")
    folder = Path(args.rest[0])
    found = journal.verify(folder)
    problem = found.problem
    if not problem and args.head and args.head != found.head:
        problem = "its last line is another than --head says: lines are missing or were added"
    if args.json:
        record = {"lines": found.lines, "head": found.head, "ok": not problem, "problem": problem}
        print(json.dumps(record))
        return 1 if problem else 0
    if not args.verify:
        for line in journal.lines(folder):
            print(line)
    if problem:
        print(f"{found.lines} lines hold; {problem}.")
        return 1
    print(f"{found.lines} lines, each after the one before; the last: {found.head}")
    return 0
