"""Landmarks over time to micro-expressions. May import what `vision` may."""
