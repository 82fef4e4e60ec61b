"""`fleeting demo`: the bundled clip through everything on this machine.
May import what `desk` may."""
