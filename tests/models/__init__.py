"""Models by name: their declarations, files, providers, prices and policies."""
