"""Synthetic landmark tracks with known micro-expressions, and the protocol that scores a spotter.

Used by the benchmark (`python -m tools.bench micro`) and by training; the spotter itself never
imports it.
"""
