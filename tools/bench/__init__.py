"""Cost of inference, and spotting and tracking quality end to end, measured on this machine."""
