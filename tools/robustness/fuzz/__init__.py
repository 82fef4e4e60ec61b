"""Hostile messages from the broker, hostile files from the other process."""
