"""The files shared by the two processes: outbox and remote settings. May import `base`, except
`types`."""
