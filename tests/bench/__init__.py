"""The benchmark: `python -m tests.bench` compares storekit with a naive version over the same drivers."""
