"""Accuracy and calibration of the expression network, and publishing it."""
