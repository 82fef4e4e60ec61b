"""The uplink process: outbox to MQTT broker, no access to devices. May import `base`
(not `types`), `privacy.policy`, `wall` and `host`."""
