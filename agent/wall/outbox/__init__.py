"""The wall between the process that sees and the process that talks: one SQLite file.

Only messages of `agent.base.report` pass. A summary and its line in the ledger are written in one
transaction before anything is sent, and are re-sent byte for byte: a power cut cannot make noise be
drawn twice for the same visits. A message leaves on PUBACK, never on send.
"""

from agent.wall.outbox.store import Outbox, ReceiptBasis, Release, Row

__all__ = ["Outbox", "ReceiptBasis", "Release", "Row"]
