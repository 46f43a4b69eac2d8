"""The ready process: `chainlang ask` in a process that has imported it, beside warm models."""
