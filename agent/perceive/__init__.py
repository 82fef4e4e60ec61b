"""The perceive process: camera and microphone to outbox, no network access. May import the rooms of
perception, `privacy`, `wall` and `host`."""
