"""An example Mosquitto that keeps devices apart, and the certificates for it."""
