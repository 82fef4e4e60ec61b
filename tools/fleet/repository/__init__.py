"""The update repository of a fleet: its keys, its releases, and how they are published (TUF)."""
