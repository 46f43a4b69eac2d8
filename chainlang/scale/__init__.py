"""Runs of several processes: the folders of shards, and one folder made of them."""

from chainlang.scale.merge import merge as merge

__all__ = ["merge"]
