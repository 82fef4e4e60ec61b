"""Clocks that lie, step and start in 1970: no summary lost, repeated, reordered or misdated."""
