"""Paths of Ember's core."""
