"""How changed objects become a plan of writes, and stored rows become objects."""
