"""What migrations and checks do as the owner or the administrator."""
