"""What makes a chain cheaper and changes no result. A pass is a function, in a file of its own."""
