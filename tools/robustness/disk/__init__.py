"""A disk that is full, read-only, broken or torn, at every call: named, nothing lost, mended."""
