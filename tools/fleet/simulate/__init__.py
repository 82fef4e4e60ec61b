"""Simulated devices: thousands of MQTT connections that say what real ones say, with the faults of
the field, and a file that remembers what the broker acknowledged. Also measured runs with them."""
