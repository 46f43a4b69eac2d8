"""How a request is to be drawn, in vLLM's own words."""

from __future__ import annotations

from typing import Any

from chainlang.protocol.messages import Request

_NEVER = 1 << 30  # tokens between two reports of a sample: it is reported when it is done


def parameters(request: Request, held: str | None, most: int) -> Any:
    """Return vLLM's own words for how to draw; `most` is how many tokens a reply may have."""
    from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

    sampling = request.sampling
    # With several samples each is reported alone, because each had another part of its prompt
    # from the cache; vLLM's report of all of them tells that of one.
    watched = request.stream or bool(request.choices)
    whole = request.drawn == 1 and not watched
    kind = RequestOutputKind.FINAL_ONLY if whole else RequestOutputKind.CUMULATIVE
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
        stop=list(sampling.stop),
        skip_special_tokens=held is None,  # what a grammar lets through stands for its text
        logprobs=0 if request.logprobs else None,  # of the tokens that are drawn, and no others
        structured_outputs=None if held is None else StructuredOutputsParams(grammar=held),
        output_kind=kind,
        stream_interval=None if whole or watched else _NEVER,
        skip_clone=True,
    )
