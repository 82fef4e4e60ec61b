"""The controller: compares what devices say with what the database wishes, and publishes settings
and jobs again where a device is behind. Level-triggered: it acts on states, never on having seen a
change, so that a restart at any instant loses nothing."""
