"""Training of the sentiment of words and of the detection of languages."""
