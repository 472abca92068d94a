"""The bench: `python -m tests.bench` measures storekit against a naive version over the same drivers."""
