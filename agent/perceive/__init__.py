"""Process 1, camera to outbox, without a network. May import `base`, `vision`, `privacy`, `wall`
and `host`."""
