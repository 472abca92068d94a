"""Classes and migrations as text, and the rules that check them. Pure: no I/O but reading files."""
