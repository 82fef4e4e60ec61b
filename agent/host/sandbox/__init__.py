"""The sandbox that each process enters at start, with or without systemd. May import `base`, except
`types`.

Independent layers: no new privileges and no core dumps (prctl), files and TCP ports (Landlock),
system calls (seccomp). None can be undone by the process or its children.
"""
