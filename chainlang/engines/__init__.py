"""Inference engines: turn `Request`s into `Completion`s. Engines know nothing of chains."""
