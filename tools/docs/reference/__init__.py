"""What the code says of itself: settings, commands, topics, schemas, policies, models."""
