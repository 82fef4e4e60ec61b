"""Models from files to callables: the manifest with its hashes, and the TFLite runtime.
May import what `vision` may."""
