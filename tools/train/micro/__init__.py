"""Training of the micro-expression spotter's network."""
