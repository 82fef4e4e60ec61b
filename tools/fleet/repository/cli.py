"""Verbs: `keys` (the root ceremony) and `repo` (releases), see the README of this folder."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.fleet import settings

if TYPE_CHECKING:  # loaded when a verb runs: `tuf` and OpenSSL take a while
    from tools.fleet.repository.metadata import Published
    from tools.fleet.repository.workshop import Signed, Workshop

_KINDS = ("app", "models")
_RENEWABLE = ("root", "targets", *_KINDS)


def add(verbs: Any) -> None:
    """Put the verbs into `verbs`, an argparse subparsers action."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--fleet", type=Path, default=settings.FOLDER, metavar="FOLDER")
    shared.add_argument("--json", action="store_true", help="print one object")
    signing = argparse.ArgumentParser(add_help=False)
    signing.add_argument(
        "--keys",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="where offline keys lie or are made, such as a stick; repeat. Default: FLEET/keys",
    )
    signing.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="in place of asking; mode 0600"
    )

    keys = verbs.add_parser("keys", help="the keys that sign updates: the root ceremony")
    what = keys.add_subparsers(dest="what", required=True, metavar="WHAT")
    verb = what.add_parser("init", parents=[shared, signing], help="make all keys and root.json")
    verb.set_defaults(run=_keys_init)
    verb = what.add_parser("show", parents=[shared, signing], help="which key is where")
    verb.set_defaults(run=_keys_show)
    verb = what.add_parser(
        "rotate", parents=[shared, signing], help="replace a key that is lost or stolen"
    )
    verb.add_argument("name", metavar="NAME", help="root-1, targets, app, timestamp, …")
    verb.set_defaults(run=_keys_rotate)
    verb = what.add_parser("renew", parents=[shared, signing], help="before a role expires")
    verb.add_argument("role", nargs="+", choices=_RENEWABLE, metavar="ROLE")
    verb.set_defaults(run=_keys_renew)

    repo = verbs.add_parser("repo", help="the update repository: releases, signed and published")
    what = repo.add_subparsers(dest="what", required=True, metavar="WHAT")
    verb = what.add_parser("init", parents=[shared, signing], help="sign and publish it, empty")
    verb.set_defaults(run=_repo_init)
    verb = what.add_parser("add", parents=[shared], help="build a release, to be signed")
    verb.add_argument("source", type=Path, nargs="?", default=Path(), metavar="SOURCE",
                      help="the clone, a folder, or a built archive; default: here")  # fmt: skip
    _release(verb)
    verb.add_argument("--floor", metavar="X.Y.Z", help="lowest version that devices may go back "
                      "to after it; default: itself")  # fmt: skip
    verb.add_argument("--requirements", type=Path, metavar="FILE",
                      help="whose libraries it needs; default: that of SOURCE")  # fmt: skip
    verb.add_argument("--changed", action="store_true", help="take changes not committed")
    verb.set_defaults(run=_repo_add)
    verb = what.add_parser("remove", parents=[shared], help="list a release no more")
    _release(verb)
    verb.set_defaults(run=_repo_remove)
    verb = what.add_parser("sign", parents=[shared, signing], help="with the keys that are here")
    verb.set_defaults(run=_repo_sign)
    verb = what.add_parser("publish", parents=[shared], help="put it out for devices")
    verb.add_argument("--prune", action="store_true", help="remove archives not listed any more")
    verb.set_defaults(run=_repo_publish)
    verb = what.add_parser("refresh", parents=[shared], help="renew the timestamp; run it daily")
    verb.set_defaults(run=_repo_refresh)
    verb = what.add_parser("list", parents=[shared], help="releases, and when roles expire")
    verb.set_defaults(run=_repo_list)


def _release(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--kind", choices=_KINDS, required=True)
    verb.add_argument("--version", required=True, metavar="X.Y.Z")


def _workshop(args: argparse.Namespace) -> Workshop:
    from tools.fleet.repository.keys import KeyFolders, asked, from_file
    from tools.fleet.repository.workshop import Workshop

    file = getattr(args, "passphrase_file", None)
    passphrase = asked() if file is None else from_file(file)
    folders = [*getattr(args, "keys", ()), args.fleet / "keys"]
    return Workshop(args.fleet, KeyFolders(folders, passphrase))


def _keys_init(args: argparse.Namespace) -> None:
    from tools.fleet.repository.metadata import alone

    with alone(args.fleet):
        root = _workshop(args).make_keys()
    if args.json:
        _print({"root": str(root)})
        return
    print(
        f"{root}: the root of trust. Copy it to each device as /etc/fleeting/root.json.\n"
        "Now put root-1.pem, root-2.pem and root-3.pem onto three sticks in three places, and "
        "targets.pem, app.pem and models.pem onto one of whoever releases; snapshot.pem and "
        f"timestamp.pem stay in {args.fleet / 'keys'}.\nThen: fleeting-fleet repo init"
    )


def _keys_show(args: argparse.Namespace) -> None:
    from tools.fleet.repository import metadata
    from tools.fleet.repository.keys import DELEGATED, ONLINE, name_of

    workshop = _workshop(args)
    root = metadata.roots(workshop.layout)[-1].signed
    staged = metadata.staged(workshop.layout, "targets")
    targets = staged.signed if staged else metadata.load(workshop.layout).targets.signed
    rows: list[dict[str, Any]] = []
    assert targets.delegations is not None
    assert targets.delegations.roles is not None
    delegated, delegated_keys = targets.delegations.roles, targets.delegations.keys
    for role in ("root", "targets", *DELEGATED, *ONLINE):
        holder = delegated[role] if role in DELEGATED else root.roles[role]
        known = delegated_keys if role in DELEGATED else root.keys
        for keyid in holder.keyids:
            path = workshop.keys.find(known[keyid])
            rows.append(
                {
                    "key": name_of(known[keyid]),
                    "role": role,
                    "threshold": holder.threshold,
                    "id": keyid,
                    "file": None if path is None else str(path),
                    "encrypted": None if path is None else workshop.keys.is_encrypted(path),
                }
            )
    if args.json:
        _print({"root_version": root.version, "root_expires": _utc(root.expires), "keys": rows})
        return
    from tools.common.tables import columns, text

    table = columns("key", "signs", "of", "id", "file", words=("signs", "id", "file"))
    for row in rows:
        place = "not here" if row["file"] is None else str(row["file"])
        if row["encrypted"] is False:
            place += " (not encrypted)"
        table.add_row(row["key"], row["role"], str(row["threshold"]), row["id"][:16], place)
    print(text(table), end="")
    print(f"Root version {root.version}, until {root.expires:%Y-%m-%d}.")


def _keys_rotate(args: argparse.Namespace) -> None:
    from tools.fleet.repository.metadata import alone

    with alone(args.fleet):
        workshop = _workshop(args)
        workshop.rotate(args.name)
        _say_signed(args, workshop.sign())


def _keys_renew(args: argparse.Namespace) -> None:
    from tools.fleet.repository.metadata import alone

    with alone(args.fleet):
        workshop = _workshop(args)
        for role in args.role:
            workshop.renew(role)
        _say_signed(args, workshop.sign())


def _repo_init(args: argparse.Namespace) -> None:
    from tools.common.errors import ToolError
    from tools.fleet.repository.metadata import alone
    from tools.fleet.repository.publishing import publish

    with alone(args.fleet):
        workshop = _workshop(args)
        if (workshop.layout.metadata / "timestamp.json").exists():
            raise ToolError(f"{args.fleet / 'repository'} is published already.")
        workshop.sign()
        roles = publish(workshop)
    _say_published(args, roles)


def _repo_add(args: argparse.Namespace) -> None:
    from tools.fleet.repository import archive
    from tools.fleet.repository.metadata import alone

    with alone(args.fleet):
        workshop = _workshop(args)
        total = archive.size_of(args.kind, args.version, args.source, changed=args.changed)
        with _megabytes(f"{args.kind} {args.version}", total) as tell:
            info = workshop.add(
                args.kind, args.version, args.source, floor=args.floor,
                requirements=args.requirements, changed=args.changed,
                progress=tell,
            )  # fmt: skip
    if args.json:
        _print({"path": info.path, "length": info.length, **info.hashes, **info.custom})
        return
    print(
        f"{info.path}: {info.length} bytes, sha256 {info.hashes['sha256']}, floor "
        f"{info.custom['floor']}, base {info.custom['base'][:8]}.\nNow: fleeting-fleet repo sign, "
        "then repo publish"
    )


def _repo_remove(args: argparse.Namespace) -> None:
    from tools.fleet.repository.metadata import alone

    with alone(args.fleet):
        workshop = _workshop(args)
        workshop.remove(args.kind, args.version)
        _say_signed(args, workshop.staged())


def _repo_sign(args: argparse.Namespace) -> int:
    from tools.fleet.repository.metadata import alone

    with alone(args.fleet):
        done = _workshop(args).sign()
    _say_signed(args, done)
    return 0 if all(each.ready for each in done) else 1


def _repo_publish(args: argparse.Namespace) -> None:
    from tools.fleet.repository.metadata import alone
    from tools.fleet.repository.publishing import publish, waiting_bytes

    with alone(args.fleet):
        workshop = _workshop(args)
        with _megabytes("archives", waiting_bytes(workshop.layout)) as tell:
            roles = publish(workshop, prune=args.prune, progress=tell)
    _say_published(args, roles)


def _repo_refresh(args: argparse.Namespace) -> None:
    from tools.fleet.repository import metadata
    from tools.fleet.repository.metadata import alone
    from tools.fleet.repository.publishing import due, refresh

    with alone(args.fleet):
        workshop = _workshop(args)
        expiries = refresh(workshop)
        soon = due(metadata.load(workshop.layout))
    if args.json:
        _print({"expires": {role: _utc(when) for role, when in expiries.items()}, "due": soon})
        return
    print(f"The timestamp holds until {expiries['timestamp']:%Y-%m-%d %H:%M} UTC.")
    if soon:
        print(
            f"fleeting-fleet: {', '.join(soon)} will expire soon. Renew: fleeting-fleet keys renew "
            f"{' '.join(soon)}; then repo sign and repo publish.",
            file=sys.stderr,
        )


def _repo_list(args: argparse.Namespace) -> None:
    from tools.fleet.repository import metadata
    from tools.fleet.repository.publishing import expiries

    workshop = _workshop(args)
    published = metadata.load(workshop.layout)
    releases = _releases(workshop, published)
    staged = workshop.staged()
    until = expiries(published)
    if args.json:
        _print(
            {
                "releases": releases,
                "expires": {role: _utc(when) for role, when in until.items()},
                "staged": [_signed(each) for each in staged],
            }
        )
        return
    from tools.common.tables import columns, text

    table = columns("release", "bytes", "floor", "base", "sha256", "is", words=("is",))
    for row in releases:
        table.add_row(
            f"{row['kind']} {row['version']}", str(row["length"]), row["floor"], row["base"][:8],
            row["sha256"][:8], row["state"],
        )  # fmt: skip
    roles = columns("role", "version", "until")
    for role, when in until.items():
        roles.add_row(role, str(published.role(role).signed.version), f"{when:%Y-%m-%d %H:%M}")
    print(text(table, roles), end="")
    if staged:
        _say_signed(args, staged)


def _releases(workshop: Workshop, published: Published) -> list[dict[str, Any]]:
    """Of every kind, oldest first; what only the published or only the staged list has, is said."""
    from agent.update.floors import order
    from tools.fleet.repository import metadata

    rows: list[dict[str, Any]] = []
    for kind in _KINDS:
        out = published.delegated[kind].signed.targets
        staged = metadata.staged(workshop.layout, kind)
        later = out if staged is None else staged.signed.targets
        for path, info in {**out, **later}.items():
            state = "published" if path in out else "staged"
            rows.append(
                {
                    **info.custom,
                    "length": info.length,
                    "sha256": info.hashes["sha256"],
                    "state": state if path in later else "published, to be removed",
                }
            )
    return sorted(rows, key=lambda row: (row["kind"], order(row["version"])))


def _signed(each: Signed) -> dict[str, Any]:
    return {
        "role": each.role,
        "version": each.version,
        "ready": each.ready,
        "missing": list(each.missing),
        "needed": each.needed,
    }


def _say_signed(args: argparse.Namespace, done: list[Signed]) -> None:
    if args.json:
        _print({"staged": [_signed(each) for each in done]})
        return
    for each in done:
        if each.ready:
            print(f"{each.role} version {each.version}: signed.")
        else:
            print(
                f"{each.role} version {each.version}: still to be signed by {each.needed} of "
                f"{', '.join(each.missing)}."
            )
    if not done:
        print("Nothing is staged.")
    elif all(each.ready for each in done):
        print("Now: fleeting-fleet repo publish")
    else:
        print("Where those keys are, run: fleeting-fleet repo sign --keys FOLDER")


def _say_published(args: argparse.Namespace, roles: tuple[str, ...]) -> None:
    folder = args.fleet / "repository"
    if args.json:
        _print({"published": list(roles), "folder": str(folder)})
        return
    print(f"{folder}: published, with a new {', '.join((*roles, 'snapshot and timestamp'))}.")
    url = settings.load(args.fleet).repository.url
    if url:
        print(f"Devices look at {url}: see that this folder is served there.")


@contextlib.contextmanager
def _megabytes(title: str, total: int | None) -> Iterator[Callable[[float, str], None]]:
    """A bar that is moved by bytes."""
    from tools.common.progress import bar

    with bar(f"{title}, MB", None if total is None else round(total / 1e6, 1)) as tell:
        yield lambda done, note: tell(round(done / 1e6, 1), "")


def _print(content: dict[str, Any]) -> None:
    print(json.dumps(content))


def _utc(when: dt.datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"
