"""SQL text of reads and searches, composed of declared names."""
