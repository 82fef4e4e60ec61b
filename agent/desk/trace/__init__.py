"""Output of results: per-frame arrays, table, timeline with ground truth, progress bar.
May import what `desk` may."""
