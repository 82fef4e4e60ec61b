"""What a person runs at a desk or in a terminal, none of it part of the two services.
May import every room."""
