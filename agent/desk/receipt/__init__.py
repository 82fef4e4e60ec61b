"""Receipts: what left in a day, signed, each naming the one before; and their check, offline."""
