"""The units under a systemd that was booted, and what a device goes through there."""
