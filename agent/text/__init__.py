"""Sentiment of words: nothing is kept but a score."""
