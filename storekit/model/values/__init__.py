"""Values that are stored: columns, documents and blobs, and their encodings."""
