"""`fleeting audit VIDEO`: detect image data in everything that the agent sends or writes.

`run` plays the video through both real processes, records every byte that they send or write, and
searches it. May import what `desk` may; only `run` and `recording` are public.
"""
