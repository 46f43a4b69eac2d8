"""Paths of Ember's utilities."""
