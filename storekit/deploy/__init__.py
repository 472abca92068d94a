"""Functions for deployment: migrations, schema changes for changed classes, embedded servers. All of them
block."""
