"""Face, voice and words together, beside each alone."""
