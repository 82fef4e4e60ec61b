"""`fleeting review`: movements looked at and disagreed with, without a picture. May import what
`desk` may.

On the researcher's machine: `keys`, the pair that traces are encrypted to; `unseal`, one file of
them; `material`, sessions from traces and from tables of OpenFace and py-feat (`tables`); `study`,
the folder with what coders said (`answers`) and who opened what (`journal`); `server` and `page`,
the local page; `face`, its schematic face; `agreement`, `export`. On the device: `session`.
"""
