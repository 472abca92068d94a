"""What a deployer runs: migrations, schema changes from classes, embedded servers. Blocking calls only."""
