"""Training data of the clean set."""
