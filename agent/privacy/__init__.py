"""Disclosure control: visits, windows, noise, release; staff zones. May import `base`."""
