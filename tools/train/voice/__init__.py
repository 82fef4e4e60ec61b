"""Training of the tone of voice and of voice activity."""
