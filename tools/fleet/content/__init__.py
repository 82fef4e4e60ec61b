"""What the slots hold: the catalogue, proof of play, and what people did before each content."""
