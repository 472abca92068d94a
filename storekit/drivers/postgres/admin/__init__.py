"""Migrations and catalog checks, run as the owner role or the administrator."""
