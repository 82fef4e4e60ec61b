"""Process 2, outbox to MQTT broker, without devices. May import `base` except `types`,
`privacy.policy`, `wall` and `host`."""
