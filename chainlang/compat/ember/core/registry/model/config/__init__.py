"""Paths of Ember's models."""
