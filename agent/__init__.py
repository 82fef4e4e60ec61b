"""Fleeting: facial expression, micro-expression and tone of voice, on the device."""

__version__ = "0.1.0"
