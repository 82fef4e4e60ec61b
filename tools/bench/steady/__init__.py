"""Stability of the landmarks: noise, lag, drift and cost of the stabiliser."""
