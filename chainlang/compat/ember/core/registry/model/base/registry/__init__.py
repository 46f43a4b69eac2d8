"""Paths of Ember's registry."""
