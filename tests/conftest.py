"""Settings for the whole suite."""

from __future__ import annotations

from hypothesis import settings

# Timing is never asserted: the first call of a kernel compiles it.
settings.register_profile("fleeting", deadline=None)
settings.load_profile("fleeting")
