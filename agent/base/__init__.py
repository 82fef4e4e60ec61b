"""Shared by every package: types, configuration, errors, clock, vocabulary, reports and their
schemas. Imports no other package of `agent`. `types` holds personal data: only some may import it.
"""
