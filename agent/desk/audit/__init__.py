"""`fleeting audit VIDEO`: does anything of a video leave the device or touch its disk?

`run` plays the video through both real processes, records every byte that they send or write, and
searches all of it. May import every other folder; only `run` and `recording` are for others.
"""
