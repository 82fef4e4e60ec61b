"""The process that speaks to a speech-to-text server: its sandbox, its loop, frames with bounds."""
