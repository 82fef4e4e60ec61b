"""Training of voice activity: where in a stream of sound people speak."""
