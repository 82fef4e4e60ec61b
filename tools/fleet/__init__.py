"""A fleet's certificate authorities and broker."""
