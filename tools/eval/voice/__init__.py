"""Tone of voice: figures of the shipped networks, beside other ways, and their publishing."""
