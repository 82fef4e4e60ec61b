"""The README's Raspberry Pi commands, run on aarch64 Debian under emulation. Imports `common` only.

What it shows and what emulation cannot show: [README.md](README.md).
"""
