"""`fleeting notice`: the sign for the door and the page of what leaves.
May import what `desk` may."""
