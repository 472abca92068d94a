"""Read and check the declaration of an entity class."""
