"""A seeded simulation: the real client and runtime over a bad server, on a clock that jumps.

One thread, one source of chance: the same seed is the same run, question for question.
"""
