"""`fleeting spot`: micro-expressions in landmark tracks that somebody else measured."""
