"""Showing and writing what a run found: per-frame arrays, table, timeline beside the clip's script,
progress bar. May import what `desk` may."""
