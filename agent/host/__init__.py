"""The machine around a process: sandbox, service manager, supervision. May import `base`, except
`types`."""
