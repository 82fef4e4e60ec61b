"""Accuracy of the face detector, its thresholds, and publishing it."""
