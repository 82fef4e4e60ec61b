"""What the code says of itself: settings, commands, topics, schemas, closed words, models' cards."""
