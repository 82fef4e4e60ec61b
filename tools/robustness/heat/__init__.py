"""A day of heat, a weak supply and odd sensors, played to the ladder by the thousand readings."""
