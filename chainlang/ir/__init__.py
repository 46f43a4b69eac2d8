"""What a chain is: immutable nodes, and functions that walk them. Knows no text and no engine."""
