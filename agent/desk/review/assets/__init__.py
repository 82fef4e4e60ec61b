"""The page's files: fixed text, style and script, served as they are."""
