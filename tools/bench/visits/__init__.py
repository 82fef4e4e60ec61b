"""Stays against visits: scripted videos with a known number of people, through the whole agent."""
