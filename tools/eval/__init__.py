"""Accuracy of the shipped models beside other networks, with confidence intervals."""
