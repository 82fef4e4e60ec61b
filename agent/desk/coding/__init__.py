"""Lists of coded facial events, and the files in which coders' programs keep them. May import what
`desk` may.

`event`: one event and its FACS code. `elan`, `boris`, `table` (BIDS, CSV): files of events.
`openface`, `pyfeat`: files of frames, of other programs. `agreement`: how far two coders agree.
`files`: which format a file has. `convert`: the verb.
"""
