"""What flows ask of the stores: the protocols of the drivers and the statements they run."""
