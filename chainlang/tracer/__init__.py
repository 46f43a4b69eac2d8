"""The tracer: Python functions into chains, by calling them once with stand-ins for values."""
