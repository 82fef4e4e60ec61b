"""Databases as a collector writes them."""

from tests.tools.fleet.postgres import postgres, store_url

__all__ = ["postgres", "store_url"]
