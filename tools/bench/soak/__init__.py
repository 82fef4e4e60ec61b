"""Both processes over long times: what they hold, and whether it grows."""
