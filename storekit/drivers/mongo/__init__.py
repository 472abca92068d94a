"""MongoDB: documents by part id, and their collections."""
