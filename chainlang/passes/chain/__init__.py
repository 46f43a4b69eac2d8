"""Passes from chain to chain."""
