"""Checks of a chain or a file before it runs."""
