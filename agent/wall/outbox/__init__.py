"""The outbox between the perceive and the uplink process: one SQLite file. May import what `wall`
may.

Only messages of `agent.base.report` pass. A summary and its line in the ledger are written in one
transaction before anything is sent, and are re-sent byte for byte: a power cut cannot make noise be
drawn twice for the same visits. A message leaves on PUBACK, never on send.
"""

from agent.wall.outbox._events import EVENTS_A_DAY
from agent.wall.outbox._ledger import ReceiptBasis, Release
from agent.wall.outbox.store import Outbox, Row

__all__ = ["EVENTS_A_DAY", "Outbox", "ReceiptBasis", "Release", "Row"]
