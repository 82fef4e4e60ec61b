"""Privacy policies, profile files, quiet hours. May import `base`, except `types`."""
