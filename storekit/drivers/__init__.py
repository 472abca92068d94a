"""The only files that import clients of the three stores."""
