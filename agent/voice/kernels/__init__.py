"""Compiled kernels; no kernel imports another."""
