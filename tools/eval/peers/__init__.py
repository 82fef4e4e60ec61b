"""Other people's networks, each run as its makers run it."""
