"""Voice: activity, prosody and tone of speech. Sound in, numbers out; no device, no file."""
