"""Detect, track, place landmarks, estimate pose: where the faces are."""
