"""A fleet's database: SQLite by default, PostgreSQL for real. May import `tools.fleet.settings`.

`open_store(url)` gives a `Store`: `?`-style SQL for both; one transaction at a time.
"""

from tools.fleet.store.errors import StoreUnavailable
from tools.fleet.store.migrate import open_store
from tools.fleet.store.store import Row, Store

__all__ = ["Row", "Store", "StoreUnavailable", "open_store"]
