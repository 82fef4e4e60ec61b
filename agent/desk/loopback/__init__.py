"""A small MQTT broker on the loopback interface, its packets, and a subscriber.
May import what `desk` may."""
