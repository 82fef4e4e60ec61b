"""Pixels to faces: detection, tracking, landmarks, expression, micro-expression. No input or
output. May import `base`."""
