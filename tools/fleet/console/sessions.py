"""Sessions: a random id in a cookie, its hash in the database.

A browser that has not signed in carries an id as well, which the database does not know; forms are
bound to it. Signing in makes a new one, so that nobody can plant an id and wait.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from tools.fleet.console.accounts import Account, digest
from tools.fleet.store import Store

IDLE = 3600
"""Seconds without a request after which a session is over."""
LONGEST = 12 * 3600
"""Seconds after which it is over anyway."""
_STEP = 60
"""Seconds between two times that its use is written down."""
_ID = re.compile(r"[A-Za-z0-9_-]{43}")


def new_id() -> str:
    """256 bits."""
    return secrets.token_urlsafe(32)


def is_id(text: str) -> bool:
    """Whether it has the form of one."""
    return _ID.fullmatch(text) is not None


def token_of(session: str) -> str:
    """What a form of this session has to carry (a CSRF token bound to the session's id)."""
    return hmac.new(session.encode(), b"fleeting console form", hashlib.sha256).hexdigest()


def begin(store: Store, account: Account, now: int) -> str:
    """A new session; its id. What is over is cleared away on the way."""
    session = new_id()
    with store.transaction():
        store.execute(
            "DELETE FROM console_sessions WHERE seen_at < ? OR created_at < ?",
            (now - IDLE, now - LONGEST),
        )
        store.execute(
            "INSERT INTO console_sessions (hash, name, created_at, seen_at) VALUES (?, ?, ?, ?)",
            (digest(session), account.name, now, now),
        )
    return session


def find(store: Store, session: str, now: int, *, use: bool = True) -> Account | None:
    """Whose it is; None: nobody's, or it is over. The role is that of now. `use`: this counts as
    a request."""
    rows = store.execute(
        "SELECT u.name, u.role, s.seen_at FROM console_sessions s"
        " JOIN console_users u ON u.name = s.name"
        " WHERE s.hash = ? AND s.seen_at >= ? AND s.created_at >= ?",
        (digest(session), now - IDLE, now - LONGEST),
    )
    if not rows:
        return None
    if use and now - rows[0]["seen_at"] >= _STEP:
        store.execute(
            "UPDATE console_sessions SET seen_at = ? WHERE hash = ?", (now, digest(session))
        )
    return Account(rows[0]["name"], rows[0]["role"])


def end(store: Store, session: str) -> None:
    """Signing out."""
    store.execute("DELETE FROM console_sessions WHERE hash = ?", (digest(session),))
