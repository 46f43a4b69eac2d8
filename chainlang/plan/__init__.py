"""What is to be done for a row: steps, with every name resolved. Frozen, and printable."""
