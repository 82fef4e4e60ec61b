"""Frames to tracked, stabilised landmarks and head pose. May import what `vision` may."""
