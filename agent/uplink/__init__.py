"""The uplink process: outbox to MQTT broker, no access to devices. May import `base` except
`types`, `privacy.policy`, `wall` and `host`."""
