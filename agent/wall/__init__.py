"""What lies between the two processes: the outbox and the remote settings file. May import `base`,
except `types`."""
