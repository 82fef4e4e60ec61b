"""`fleeting spot`: micro-expression spotting in landmark tracks from files.
May import what `desk` may."""
