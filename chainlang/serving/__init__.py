"""HTTP server: chains as models, for clients of OpenAI's API."""

from chainlang.serving.serve import Key, application, running

__all__ = ["Key", "application", "running"]
