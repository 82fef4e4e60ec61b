"""Crash tests, fuzzing, and leaks made on purpose."""
