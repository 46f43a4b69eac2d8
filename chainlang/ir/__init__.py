"""Intermediate representation of chains: immutable nodes, and functions that walk them."""
