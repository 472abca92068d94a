"""Turn filters, orders and page cursors into a search."""
