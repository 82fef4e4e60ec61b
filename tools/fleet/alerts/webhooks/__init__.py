"""Alerts as signed HTTP requests to other programs; docs/alerts.md says how to receive them."""
