"""`fleeting receipt verify`: signed receipts checked without a network.
May import what `desk` may."""
