"""MongoDB: documents by part id, and the collections that hold them."""
