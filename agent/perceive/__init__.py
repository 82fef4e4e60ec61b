"""The perceive process: camera to outbox, no network access. May import `base`, `vision`,
`privacy`, `wall` and `host`."""
