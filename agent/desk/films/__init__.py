"""`fleeting report`: recorded films as pages, tables and an index.

A walk: `find` names the films, `crew` gives each to a `worker` process of its own in the sandbox,
`analyse` takes it through the pipeline into `collect` (constant memory: `course`), `findings` are
its numbers, `chapters` its page, `keep` puts the folder in place at once, `index` and `tables` go
over all of them. Personal data: for recordings of people who agreed, never for a live camera.
"""
