"""An engine for any server with an OpenAI-compatible API."""
