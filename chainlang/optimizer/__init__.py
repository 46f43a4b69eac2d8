"""The compiler and its optimization passes, which reduce the cost of a chain."""
