"""What tests of storekit, and of what is built on it, share."""
