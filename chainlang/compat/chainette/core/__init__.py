"""Paths of Chainette's core."""
