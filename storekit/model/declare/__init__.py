"""How a class becomes a declared entity."""
