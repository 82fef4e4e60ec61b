"""Training of the networks: data, nets, losses, loops, conversion."""
