"""A small MQTT broker for this machine alone, its packets, and a subscriber.
May import what `desk` may."""
