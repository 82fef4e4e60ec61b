"""Daily signed receipts: written here, verified in `desk.receipt`. May import what `uplink` may."""
