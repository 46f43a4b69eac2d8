"""Requests, completions, failures and capabilities: the types that chains and engines exchange."""

from chainlang.protocol.messages import Failure, Request

__all__ = ["Failure", "Request"]
