"""What may be inferred and published where: policies, profile files, quiet hours. Knows nothing of
what was perceived. May import `base`, except `types`."""
