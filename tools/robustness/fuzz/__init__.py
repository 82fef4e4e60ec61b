"""Hostile messages from the broker."""
