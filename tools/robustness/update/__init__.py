"""Updates that are killed at random instants, and releases that are no good."""
