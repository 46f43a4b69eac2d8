"""Static checks of chains and files."""
