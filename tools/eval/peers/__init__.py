"""Networks to compare with, each run as its authors run it."""
