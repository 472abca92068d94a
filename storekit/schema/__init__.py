"""Render classes as SQL, read migrations and check them. No I/O except reading files."""
