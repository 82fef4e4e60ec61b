"""Bounds of what passes between the two processes."""

CHUNK = 4000
"""Samples per message: a quarter of a second."""
MAX_TEXT = 1000
"""Bytes of a text."""
REASONS = ("no_server", "no_answer", "closed", "too_long", "malformed", "ended")
"""Why a stretch of speech has no text."""
