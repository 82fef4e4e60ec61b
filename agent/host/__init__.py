"""Process management: sandbox, sd_notify, supervisor. May import `base`, except `types`."""
