"""Paths of Ember's registries."""
