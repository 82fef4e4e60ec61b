"""Users and tokens: who there is, and whether a secret is theirs.

Passwords are kept as scrypt (RFC 7914) with a salt each; tokens are 256 random bits, for which a
SHA-256 is enough.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
from dataclasses import dataclass
from typing import Literal, get_args

from tools.common.errors import ToolError
from tools.fleet.store import Row, Store

Role = Literal["viewer", "operator"]
"""A viewer sees everything; an operator also changes settings and roll-outs."""
ROLES: tuple[Role, ...] = get_args(Role)
MIN_PASSWORD = 12
MAX_PASSWORD = 1024
_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
_COST = (2**15, 8, 3)
"""N, r, p: OWASP's Password Storage Cheat Sheet; 32 MiB and a fifth of a second on a desktop."""
_MEMORY = 64 * 2**20
_ONE = threading.Lock()
"""One password at a time: many at once would take the machine's memory."""
_NOBODY = "scrypt:32768:8:3:" + "00" * 16 + ":" + "00" * 32
"""Compared with where there is no such user, so that it takes as long."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who asks."""

    name: str
    role: Role


def hashed(password: str, salt: bytes | None = None) -> str:
    """As the database keeps it."""
    salt = secrets.token_bytes(16) if salt is None else salt
    n, r, p = _COST
    return f"scrypt:{n}:{r}:{p}:{salt.hex()}:{_scrypt(password, salt, n, r, p).hex()}"


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    with _ONE:
        return hashlib.scrypt(
            password.encode(errors="surrogatepass"),
            salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32,
        )  # fmt: skip


def matches(password: str, kept: str) -> bool:
    """Whether it is the password that was hashed."""
    _, n, r, p, salt, wanted = kept.split(":")
    found = _scrypt(password, bytes.fromhex(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, bytes.fromhex(wanted))


def set_user(store: Store, name: str, role: Role, password: str, now: int) -> bool:
    """Add a user, or give one another role and password and end his sessions; whether he is new.
    Raises `ToolError`."""
    if not _NAME.fullmatch(name):
        raise ToolError(f"{name!a} cannot be a user's name: 1 to 64 letters, digits, and _ . @ -")
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise ToolError(f"A password has {MIN_PASSWORD} characters or more.")
    kept = hashed(password)
    with store.transaction():
        known = bool(store.execute("SELECT 1 AS one FROM console_users WHERE name = ?", (name,)))
        store.execute(
            "INSERT INTO console_users (name, role, password, created_at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET role = excluded.role, password = excluded.password",
            (name, role, kept, now),
        )
        store.execute("DELETE FROM console_sessions WHERE name = ?", (name,))
    return not known


def remove_user(store: Store, name: str) -> None:
    """And end his sessions. Raises `ToolError`."""
    with store.transaction():
        gone = store.execute("DELETE FROM console_users WHERE name = ? RETURNING name", (name,))
        store.execute("DELETE FROM console_sessions WHERE name = ?", (name,))
    if not gone:
        raise ToolError(f"There is no user {name!a}. See: fleeting-fleet console user list")


def users(store: Store) -> list[Row]:
    return store.execute("SELECT name, role, created_at FROM console_users ORDER BY name")


def check(store: Store, name: str, password: str) -> Account | None:
    """The user, where the password is his; as slow for a name that nobody has."""
    rows = store.execute("SELECT role, password FROM console_users WHERE name = ?", (name[:64],))
    kept = rows[0]["password"] if rows else _NOBODY
    if not matches(password[:MAX_PASSWORD], kept) or not rows:
        return None
    return Account(name, rows[0]["role"])


def add_token(store: Store, name: str, role: Role, now: int, days: int | None) -> str:
    """A token for the API; it is shown this once. `days`: None, for good. Raises `ToolError`."""
    if not _NAME.fullmatch(name):
        raise ToolError(f"{name!a} cannot be a token's name: 1 to 64 letters, digits, and _ . @ -")
    token = f"fleeting_{secrets.token_urlsafe(32)}"
    with store.transaction():
        if store.execute("SELECT 1 AS one FROM console_tokens WHERE name = ?", (name,)):
            raise ToolError(f"There is a token {name} already. Remove it first, or take another.")
        store.execute(
            "INSERT INTO console_tokens (hash, name, role, created_at, expires_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (digest(token), name, role, now, None if days is None else now + 86_400 * days),
        )
    return token


def remove_token(store: Store, name: str) -> None:
    """Raises `ToolError`."""
    if not store.execute("DELETE FROM console_tokens WHERE name = ? RETURNING name", (name,)):
        raise ToolError(f"There is no token {name!a}. See: fleeting-fleet console token list")


def tokens(store: Store) -> list[Row]:
    return store.execute(
        "SELECT name, role, created_at, expires_at FROM console_tokens ORDER BY name"
    )


def of_token(store: Store, token: str, now: int) -> Account | None:
    """Whose it is."""
    rows = store.execute(
        "SELECT name, role FROM console_tokens WHERE hash = ?"
        " AND (expires_at IS NULL OR expires_at > ?)",
        (digest(token), now),
    )
    return Account(f"token {rows[0]['name']}", rows[0]["role"]) if rows else None


def digest(secret: str) -> str:
    """Of what is random enough by itself."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
