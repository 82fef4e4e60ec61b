"""Verb: console; without more words it serves."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
import time
from pathlib import Path
from typing import Any

from tools.common.errors import ToolError
from tools.fleet import settings

_HIDDEN = argparse.SUPPRESS
"""Default of what was given further left already."""


def add(verbs: Any) -> None:
    """Put the verb into `verbs`, an argparse subparsers action."""
    console = verbs.add_parser("console", help="pages and an API for people who watch the fleet")
    console.add_argument("--fleet", type=Path, default=settings.FOLDER, metavar="FOLDER")
    console.add_argument(
        "--listen", default="127.0.0.1:8580", metavar="HOST:PORT", help="default: 127.0.0.1:8580"
    )
    console.add_argument("--certificate", type=Path, metavar="FILE", help="PEM; for TLS")
    console.add_argument("--key", type=Path, metavar="FILE", help="PEM; for TLS")
    console.add_argument(
        "--behind-proxy", action="store_true", help="a proxy with TLS is all that can reach it"
    )
    console.add_argument(
        "--name", action="append", default=[], metavar="HOST",
        help="by which browsers call it; repeat",
    )  # fmt: skip
    console.set_defaults(run=_serve)
    acts = console.add_subparsers(dest="what", metavar="WHAT")
    user = acts.add_parser("user", help="who may sign in")
    does = user.add_subparsers(dest="act", required=True, metavar="ACT")
    one = does.add_parser("add", help="or give another password; asks for it, or reads a line")
    one.add_argument("user", metavar="NAME")
    _role(one)
    _common(one, _add_user)
    one = does.add_parser("remove", help="and end his sessions")
    one.add_argument("user", metavar="NAME")
    _common(one, _remove_user)
    _common(does.add_parser("list", help="all users"), _users)
    token = acts.add_parser("token", help="who may use the API")
    does = token.add_subparsers(dest="act", required=True, metavar="ACT")
    one = does.add_parser("add", help="prints it, this once")
    one.add_argument("token", metavar="NAME")
    _role(one)
    one.add_argument("--days", type=int, metavar="N", help="until it ends; default: never")
    _common(one, _add_token)
    one = does.add_parser("remove")
    one.add_argument("token", metavar="NAME")
    _common(one, _remove_token)
    _common(does.add_parser("list", help="all tokens"), _tokens)


def _role(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--role", choices=("viewer", "operator"), default="viewer",
        help="a viewer (default) only looks",
    )  # fmt: skip


def _common(parser: argparse.ArgumentParser, run: Any) -> None:
    parser.add_argument("--fleet", type=Path, default=_HIDDEN, metavar="FOLDER")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def _serve(args: argparse.Namespace) -> None:
    from tools.fleet.console.serve import Listening, serve

    serve(args.fleet, Listening(args.listen, args.certificate, args.key, args.behind_proxy,
                                tuple(args.name)))  # fmt: skip


def _open(args: argparse.Namespace) -> Any:
    from tools.fleet.store import open_store

    return open_store(settings.store_url(args.fleet, settings.load(args.fleet)))


def _add_user(args: argparse.Namespace) -> None:
    from tools.fleet.console import accounts

    password = _password()
    with _open(args) as store:
        new = accounts.set_user(store, args.user, args.role, password, int(time.time()))
    if args.json:
        print(json.dumps({"user": args.user, "role": args.role, "new": new}))
    else:
        print(f"{args.user} ({args.role}) {'may sign in' if new else 'has another password'}.")


def _password() -> str:
    """Typed twice at a terminal, else a line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != first:
        raise ToolError("The two differ. Nothing was changed.")
    return first


def _remove_user(args: argparse.Namespace) -> None:
    from tools.fleet.console import accounts

    with _open(args) as store:
        accounts.remove_user(store, args.user)
    _said(args, {"removed": args.user}, f"{args.user} may not sign in any more.")


def _add_token(args: argparse.Namespace) -> None:
    from tools.fleet.console import accounts

    if args.days is not None and not 1 <= args.days <= 3660:
        raise ToolError("A token lasts 1 to 3660 days.")
    with _open(args) as store:
        token = accounts.add_token(store, args.token, args.role, int(time.time()), args.days)
    _said(args, {"name": args.token, "role": args.role, "token": token}, token)


def _remove_token(args: argparse.Namespace) -> None:
    from tools.fleet.console import accounts

    with _open(args) as store:
        accounts.remove_token(store, args.token)
    _said(args, {"removed": args.token}, f"{args.token} opens nothing any more.")


def _said(args: argparse.Namespace, found: dict[str, Any], text: str) -> None:
    print(json.dumps(found) if args.json else text)


def _users(args: argparse.Namespace) -> None:
    from tools.fleet.console import accounts

    with _open(args) as store:
        _list(args, accounts.users(store), "nobody: fleeting-fleet console user add NAME")


def _tokens(args: argparse.Namespace) -> None:
    from tools.fleet.console import accounts

    with _open(args) as store:
        _list(args, accounts.tokens(store), "none: fleeting-fleet console token add NAME")


def _list(args: argparse.Namespace, rows: list[dict[str, Any]], nothing: str) -> None:
    if args.json:
        print(json.dumps(rows))
        return
    if not rows:
        print(nothing)
        return
    from tools.common.tables import columns, text
    from tools.fleet.operate.output import ago

    table = columns("name", "role", "made", "ends", words=("role", "made", "ends"))
    for row in rows:
        end = row.get("expires_at")
        ends = "-" if end is None else time.strftime("%Y-%m-%d", time.gmtime(end))
        table.add_row(row["name"], row["role"], ago(row["created_at"]), ends)
    print(text(table), end="")
