"""The sandbox that each process enters at its start, with or without systemd around it. May import
`base`, except `types`.

Layers, each of which holds when another is missing: no new privileges and no core dumps (prctl),
the files and ports it may reach (Landlock), the system calls it may make (seccomp). Nothing of it
can be undone by the process or by a program that it starts.
"""
