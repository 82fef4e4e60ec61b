"""The notice kit: a sign for those in view, and a page about what leaves the box."""
