"""The console's process: where it listens, and who may reach it."""

from __future__ import annotations

import ipaddress
import logging
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.common.errors import ToolError
from tools.fleet import settings
from tools.fleet.store import Store, open_store

LISTEN = "127.0.0.1:8580"
_LOCAL = ("localhost", "127.0.0.1", "[::1]")
_STREAMS = 200
"""Connections at once; beyond, answers are 503."""


@dataclass(frozen=True, slots=True)
class Listening:
    """What was typed."""

    address: str = LISTEN
    certificate: Path | None = None
    key: Path | None = None
    behind_proxy: bool = False
    names: tuple[str, ...] = ()


def host_and_port(text: str) -> tuple[str, int]:
    """`127.0.0.1:8580`, `[::1]:8580`. Raises `ToolError`."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        if host != "localhost":
            ipaddress.ip_address(host)
        if not port.isdecimal() or not 0 < int(port) < 65_536:
            raise ValueError
    except ValueError:
        raise ToolError(f"{text!a} is no address to listen at. Such as {LISTEN}.") from None
    return host, int(port)


def check(wanted: Listening) -> tuple[str, int]:
    """Host and port. Raises `ToolError` where passwords would cross a network in the clear, or
    nobody could call the console by a name."""
    host, port = host_and_port(wanted.address)
    if (wanted.certificate is None) != (wanted.key is None):
        raise ToolError("A certificate and its key belong together: --certificate FILE --key FILE.")
    local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    if local:
        return host, port
    if wanted.certificate is None and not wanted.behind_proxy:
        raise ToolError(
            f"{wanted.address} can be reached from elsewhere, and passwords would cross the "
            "network in the clear. Give --certificate FILE --key FILE; or --behind-proxy where "
            "nobody but a proxy with TLS can reach it; or leave --listen out and use an SSH tunnel."
        )
    if not wanted.names:
        raise ToolError("Say by which name browsers call it: --name console.example (repeat).")
    return host, port


def serve(folder: Path, wanted: Listening) -> None:
    """Until it is ended. Raises `ToolError`."""
    host, port = check(wanted)
    try:
        import uvicorn
    except ImportError:
        raise ToolError(
            "The console needs more than the agent. Install it: pip install 'fleeting[fleet]'."
        ) from None
    from tools.fleet.console.app import build
    from tools.fleet.console.guard import Reach
    from tools.fleet.console.place import Place
    from tools.fleet.console.pool import Pool

    url = settings.store_url(folder, settings.load(folder))
    with open_store(url) as store:
        warn(store)
    secure = wanted.certificate is not None or wanted.behind_proxy
    names = frozenset(each.lower() for each in (*_LOCAL, *wanted.names))
    pool = Pool(url)
    app = build(Place(folder, pool), Reach(names, secure, wanted.behind_proxy))
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    print(
        f"http{'s' if wanted.certificate else ''}://{_shown(host)}:{port}/", file=sys.stderr,
        flush=True,
    )  # fmt: skip
    config = uvicorn.Config(
        app, host=host, port=port, log_level="warning", access_log=False, server_header=False,
        proxy_headers=False, lifespan="off", ws="none", limit_concurrency=_STREAMS,
        timeout_keep_alive=15, timeout_graceful_shutdown=2, h11_max_incomplete_event_size=32_768,
        ssl_certfile=wanted.certificate, ssl_keyfile=wanted.key,
    )  # fmt: skip
    server = uvicorn.Server(config)
    try:
        server.run()
    except SystemExit as error:  # it has said why
        raise ToolError(f"The console cannot listen at {wanted.address}.") from error
    finally:
        pool.close()
    if not server.started:
        raise ToolError(f"The console cannot listen at {wanted.address}.")


def warn(store: Store) -> None:
    """Where nobody could sign in."""
    if not store.execute("SELECT 1 AS one FROM console_users LIMIT 1"):
        print(
            "fleet: nobody can sign in yet: fleeting-fleet console user add NAME --role operator",
            file=sys.stderr,
        )


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
