"""What every room may import: types, configuration, errors, the clock, the closed vocabulary,
reports and their schemas. Imports nothing of ours but itself; `types`, which is personal,
has fewer readers."""
