"""Publishing the spotter's network."""
