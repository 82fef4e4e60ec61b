"""Aligned face crops to expression, valence, arousal and action units.
May import what `vision` may."""
