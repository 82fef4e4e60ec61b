"""Whether the ledger in the outbox is still the one that was seen before.

The perceive process may write every byte of the outbox. What this process has seen of the ledger it
remembers beside the signing key, out of the other's reach: a file that was removed, replaced, moved
aside or put back, and lines that went missing or changed, show in the next receipt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from agent.base.report import OutboxState, Statement
from agent.wall.outbox import ReceiptBasis, Release, ReleaseLedger

_SEVERITY: tuple[OutboxState, ...] = ("same", "new", "damaged", "reset", "altered")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was last seen of the ledger."""

    outbox: str
    """Identity of the file."""
    upto: int
    """Id of the last line that is in a receipt."""
    anchor: str
    """Hash of that line; empty where there was none."""
    lines: int
    """Number of lines after it."""
    hash: str
    """Over these lines."""
    state: OutboxState
    """The gravest since the last receipt."""
    unrecorded: int = 0
    """`ReleaseLedger.unrecorded` so far; of this process."""


def look(
    seen: Seen | None,
    ledger: ReleaseLedger,
    unremembered: Callable[[bytes | None], Statement | None],
) -> tuple[ReceiptBasis, Seen]:
    """The data of the next receipt, and what is seen now.

    `unremembered`: the statement of the outbox's last receipt if this process's memory has not got
    it, because it ended between storing the one and the other. Raises `StoreError`.
    """
    after: int | None = None
    if seen is not None:
        # The file's own word on what is in a receipt is not taken; a new one begins with none.
        after = seen.upto if seen.outbox == ledger.identity() else 0
    basis = ledger.receipt_basis(after)
    state = _state(seen, basis)
    written = unremembered(basis.previous)
    if seen is not None and state == "same" and written is not None:
        told = basis.releases[: written.summaries]
        if digest(each.sha256 for each in told) == written.digest:
            basis = ledger.receipt_basis(after=told[-1].id if told else seen.upto)
            seen = replace(seen, state="same")
        else:
            state = "altered"
    if ledger.unrecorded > (seen.unrecorded if seen else 0):
        state = "altered"
    worst = max(state, seen.state if seen else state, key=_SEVERITY.index)
    return basis, Seen(
        outbox=basis.outbox,
        upto=basis.after,
        anchor=_line(basis.anchor),
        lines=len(basis.releases),
        hash=_hash(basis.releases),
        state=worst,
        unrecorded=ledger.unrecorded,
    )


def after_receipt(basis: ReceiptBasis, seen: Seen) -> Seen:
    """What is remembered once `basis` is in a receipt."""
    last = basis.releases[-1] if basis.releases else basis.anchor
    return replace(seen, upto=basis.upto, anchor=_line(last), lines=0, hash=_hash(()), state="same")


def digest(hashes: Iterable[str]) -> str:
    """SHA-256 over the SHA-256 of each summary (hex in, 32 bytes each), in the order given."""
    joint = hashlib.sha256()
    for each in hashes:
        joint.update(bytes.fromhex(each))
    return joint.hexdigest()


def _state(seen: Seen | None, basis: ReceiptBasis) -> OutboxState:
    if seen is None:
        return "new"
    if seen.outbox != basis.outbox:
        return "damaged" if basis.after_damage else "reset"
    intact = (
        _line(basis.anchor) == seen.anchor
        and len(basis.releases) >= seen.lines
        and _hash(basis.releases[: seen.lines]) == seen.hash
    )
    return "same" if intact else "altered"


def _line(release: Release | None) -> str:
    return release.line_hash if release else ""


def _hash(releases: Sequence[Release]) -> str:
    return digest(each.line_hash for each in releases)
