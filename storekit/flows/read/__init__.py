"""Flows that only read."""
