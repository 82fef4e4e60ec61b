"""`fleeting receipt verify`: offline verification of signed receipts.
May import what `desk` may."""
