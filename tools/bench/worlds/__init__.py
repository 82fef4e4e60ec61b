"""Two worlds that differ in one person, and how well a day's summaries tell them apart."""
