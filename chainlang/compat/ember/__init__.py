"""Ember's networks of networks: ``from chainlang.compat.ember import non``."""
