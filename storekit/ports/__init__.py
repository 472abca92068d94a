"""The protocols that drivers implement, and the statements that flows send."""
