"""What a run showed, as per-frame arrays, as a table, as a timeline beside what the clip's script
planted. May import what `desk` may."""
