"""Databases for the tests of every room of `tools/fleet`."""

from tests.tools.fleet.postgres import own_postgres, postgres, store_url

__all__ = ["own_postgres", "postgres", "store_url"]
