"""Measuring the sentiment of words and the detection of languages."""
