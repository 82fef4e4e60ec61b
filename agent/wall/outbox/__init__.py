"""The outbox between the perceive and the uplink process: one SQLite file. May import what `wall`
may.

Only messages of `agent.base.report` are stored. A summary and its ledger line are written in one
transaction before anything is sent, and are re-sent byte for byte: after a power loss, noise is
never drawn twice for the same visits. A message is removed on PUBACK, not on send.
"""

from agent.wall.outbox._hardening import Budget, harden
from agent.wall.outbox._ledger import ReceiptBasis, Release, ReleaseLedger
from agent.wall.outbox.store import Outbox, Row

__all__ = [
    "Budget",
    "Outbox",
    "ReceiptBasis",
    "Release",
    "ReleaseLedger",
    "Row",
    "harden",
]
