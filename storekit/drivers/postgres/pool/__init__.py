"""Connections: where they go, how many there are, and who shares them."""
