"""Looking up the broker's name, in a small process of its own: the uplink, once in its sandbox, may
use neither UDP nor local sockets. `lookup` is the uplink's side, `__main__` the other process,
`answer` what is said between them. Imports `base.errors` and `host.sandbox` only.
"""
