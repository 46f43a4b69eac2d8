"""Sandboxes: programs that models write, run apart from this process and within limits."""
