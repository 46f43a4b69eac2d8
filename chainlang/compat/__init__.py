"""Doors for code that calls other libraries: their words, each of which makes an ordinary chain."""
