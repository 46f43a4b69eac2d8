"""What the names in a chain mean, and every check that needs to know it."""
