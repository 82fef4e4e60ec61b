"""`fleeting spot`: micro-expressions in landmark tracks of one's own.
May import what `desk` may."""
