"""Measuring voice activity: speech of unseen people in noise of unseen kinds."""
