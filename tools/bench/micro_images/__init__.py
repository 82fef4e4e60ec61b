"""Spotting of micro-expressions injected into images, through the whole pipeline."""
