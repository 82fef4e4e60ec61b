"""The whole pipeline per frame, beside MediaPipe."""
