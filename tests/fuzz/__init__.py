"""A fuzzer of our own: mutated inputs into each door that takes text (`python -m tests.fuzz`)."""
