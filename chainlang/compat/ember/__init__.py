"""Ember's API for networks of networks: ``from chainlang.compat.ember import non``."""
