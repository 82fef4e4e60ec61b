"""Command-line tools outside the two services. May import every room."""
