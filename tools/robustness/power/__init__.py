"""The power fails while the agent writes: a disk after that holds all that was said to be on it."""
