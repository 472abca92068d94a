"""Connections to PostgreSQL: their endpoint, their pool, and the registry that shares pools."""
