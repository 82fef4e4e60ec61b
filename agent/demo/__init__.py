"""`fleeting demo`: the bundled clip through the real thing, on this machine only."""
