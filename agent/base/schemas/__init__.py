"""Closed JSON Schemas of every message, generated from `base.report`. May import `base`, except
`types`.

`python -m agent.base.schemas` writes and checks them; `python -m tools.capacity` prints their
channel capacity.
"""
