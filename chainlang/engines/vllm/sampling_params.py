"""Conversion of a request's sampling parameters to vLLM's `SamplingParams`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from chainlang.engines.vllm.request_layout import Layout, is_heard
from chainlang.protocol.messages import Request

_NEVER = 1 << 30  # tokens between two outputs of a sample: after the first, there is only the end


def sampling_params(
    request: Request,
    laid: Layout,
    token_id: Callable[[str], int],
) -> Any:
    """Return vLLM's sampling parameters for the layout of a request.

    If samples are looked at before they are finished, each output of one has what is new since the
    one before. Otherwise there is one output, of all samples, which takes vLLM the least time.
    `token_id` returns the id of a text that is one token, or raises `ValueError`. The tags of
    reasoning that a sample begins with are part of its text, and the caller looks for stop strings
    after them.
    """
    most, budgets, thinks = laid.most, laid.budgets, laid.thinks
    grammar = None if laid.constraint is None else laid.constraint.grammar
    from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

    sampling = request.sampling
    heard = is_heard(request, laid)
    whole = not heard and not budgets
    kind = RequestOutputKind.FINAL_ONLY if whole else RequestOutputKind.DELTA
    interval = min(budgets.values(), default=_NEVER)
    return SamplingParams(
        n=request.drawn,
        seed=request.seed if sampling.temperature > 0 else None,
        temperature=sampling.temperature,
        max_tokens=most,
        min_tokens=min(sampling.min_tokens, most),
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        min_p=sampling.min_p,
        presence_penalty=sampling.presence_penalty,
        frequency_penalty=sampling.frequency_penalty,
        repetition_penalty=sampling.repetition_penalty,
        stop=[] if thinks else list(sampling.stop),
        stop_token_ids=list(sampling.stop_token_ids),
        logit_bias=_biases(sampling.logit_bias, token_id) if sampling.logit_bias else None,
        bad_words=list(sampling.bad_words),
        ignore_eos=sampling.ignore_eos,
        include_stop_str_in_output=sampling.include_stop,
        # A grammar admits a special token as its text.
        skip_special_tokens=grammar is None and not thinks and not laid.reads_special,
        logprobs=request.top_logprobs if request.logprobs else None,  # 0: the sampled ones only
        structured_outputs=None if grammar is None else StructuredOutputsParams(grammar=grammar),
        output_kind=kind,
        stream_interval=None if whole or heard else interval,
        skip_clone=True,
    )


def _biases(given: Iterable[tuple[str, float]], token_id: Callable[[str], int]) -> dict[int, float]:
    """Return the bias of each token by its id."""
    return {
        int(token[1:]) if token[0] == "#" and token[1:].isdecimal() else token_id(token): bias
        for token, bias in given
    }
