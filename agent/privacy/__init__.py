"""Faces to summaries: visits, windows, noise, release; and staff zones. May import `base`."""
