"""Accuracy and noise of the landmark network, and publishing it."""
