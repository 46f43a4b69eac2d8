"""Semantics of chains: records, prompts, expressions, stages, votes, seeds."""
