"""What is gained where a microphone says that somebody speaks."""
