"""The compiler and its passes, which make a chain cheaper and change no result."""
