"""How filters, orders and cursors become a search."""
