"""Findings about a text: where it stands, what is wrong, how it is shown."""
