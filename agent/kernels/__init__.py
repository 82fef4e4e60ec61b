"""All Numba: NumPy and Numba only, one file per idea, no cross-file calls."""
