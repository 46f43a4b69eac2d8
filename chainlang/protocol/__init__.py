"""Requests, completions, failures and capabilities: what chains and engines exchange."""

from chainlang.protocol.messages import Failure, Request

__all__ = ["Failure", "Request"]
