"""JSON Schemas of every message that may leave, made from `base.report`; all of them closed. May
import `base`, except `types`.

`python -m agent.base.schemas` writes and checks them; `python -m tools.capacity` prints how much
they can say at most.
"""
