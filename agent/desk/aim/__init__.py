"""`fleeting aim`: where to put the camera, seen as boxes, landmarks and a drawn face, never as
pixels. May import what `desk` may.

`placement`: the score and what would raise it. `canvas`, `face`: pictures out of characters.
`run`: the verb.
"""
