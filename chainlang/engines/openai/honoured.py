"""Checks that a server has done what a request asks for, and has not ignored it."""

from __future__ import annotations

from chainlang.engines.http.errors import Rejected
from chainlang.engines.http.response import Response
from chainlang.protocol.messages import Request


def check_honoured(request: Request, response: Response, url: str) -> None:
    """Raise `Rejected` if the response of a server lacks what the request asks for."""
    samples = response.samples.values()
    if request.logprobs and any(one.text and not (one.logprobs or one.refusal) for one in samples):
        raise Rejected("refused", f"{url} does not return logprobs")
    if request.top_logprobs and any(one.logprobs and not one.top_logprobs for one in samples):
        raise Rejected("refused", f"{url} does not return the likeliest tokens")
    if request.sampling.include_stop and any(
        isinstance(one.stop, str) and not one.text.endswith(one.stop) for one in samples
    ):
        raise Rejected("refused", f"{url} leaves the stop out, and ignores include_stop")
