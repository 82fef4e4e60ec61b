"""What an operator types: status, devices, tags, groups, settings, roll-outs. Works on the database
only; the controller carries it out."""
