"""JSON schemas and regular expressions as grammars for constrained decoding."""
