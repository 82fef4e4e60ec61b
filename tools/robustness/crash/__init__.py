"""kill -9 at random instants and at every write: nothing released may be lost."""
