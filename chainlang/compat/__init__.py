"""Compatibility APIs: names of other libraries, each of which builds an ordinary chain."""
