"""What a record is and what saving it means: pure, without I/O."""
