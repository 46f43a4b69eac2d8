"""The meaning of a chain: records, prompts, expressions, stages, votes, seeds."""
