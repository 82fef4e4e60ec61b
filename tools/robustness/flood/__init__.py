"""A taken-over perceive process floods the outbox: no more than the printed day arrives."""
