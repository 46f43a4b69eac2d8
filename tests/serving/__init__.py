"""Chains served as models, over real sockets."""
