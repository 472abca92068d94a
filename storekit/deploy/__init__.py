"""Functions for deployment: migrations, schema changes from classes, embedded servers. All of them block."""
