"""The third process: signed updates of the package and its models. No devices, one update host.
May import `base` and `host`."""
