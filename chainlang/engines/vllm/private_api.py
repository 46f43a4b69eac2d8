"""Use of vLLM's internals, which change without notice: attributes, module functions, names of ids.

What stands here was read in vLLM 0.32 and is tested with it. A version that lacks one of them is
refused in words, with the versions that fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, wraps
from typing import Any

from attrs import frozen

from chainlang.engines.protocol import refuse

_HIGHEST_RANK = 512
_OF_SEVERAL = "_"  # between the number of a sample and the id of its request
SUPPORTED = ">=0.32,<0.33"
"""The versions of vLLM that have all of this, as pip writes them."""


@frozen
class Batch:
    """Work of one step of an engine, in tokens and requests."""

    prompt_tokens: int
    """Tokens of the prompts that begin with it."""
    cached_tokens: int
    """Those of them that the prefix cache has."""
    tokens: int
    """All tokens that it computes."""
    preemptions: int
    """Requests that were evicted for it."""
    cached_by_sample: Mapping[str, int]
    """Prompt tokens that the prefix cache has, of each sample of several that begins with it, by
    its `inner_id`. vLLM's joint output of the samples has the number of one of them."""


def on_each_batch(engine: Any, note: Callable[[Batch], object]) -> None:
    """Call `note` with each batch that the scheduler of an engine makes from now on."""
    scheduler = _part(engine, "engine_core.engine_core.scheduler")
    schedule = _part(scheduler, "schedule")

    def watched(*args: Any, **named: Any) -> Any:
        output = schedule(*args, **named)
        prompts = cached = 0
        by_sample: dict[str, int] = {}
        for request in output.scheduled_new_reqs:
            prompts += len(request.prompt_token_ids or ())
            cached += request.num_computed_tokens
            if _OF_SEVERAL in request.req_id:
                by_sample[request.req_id] = request.num_computed_tokens
        evicted = len(output.preempted_req_ids or ())
        note(Batch(prompts, cached, output.total_num_scheduled_tokens, evicted, by_sample))
        return output

    scheduler.schedule = watched


def keep_other_engines(engine: Any) -> None:
    """Take away the finalizer of an engine, which would break the others of the process.

    `shut_down` does its work.
    """
    _part(engine, "engine_core._finalizer.detach")()


def compile_grammars_in_steps(engine: Any) -> None:
    """Compile grammars without a thread, so that the steps of equal runs are equal."""
    manager = _part(engine, "engine_core.engine_core.structured_output_manager")
    _part(manager, "_use_async_grammar_compilation")
    manager._use_async_grammar_compilation = False


def hold_schemas_after_reasoning(engine: Any, parser: type) -> None:
    """Hold schemas from the end of reasoning on, of which the instances of a class decide."""
    manager = _part(engine, "engine_core.engine_core.structured_output_manager")
    _part(manager, "reasoner_cls")
    manager.reasoner_cls = parser


def count_ranks_uncompiled() -> None:
    """Count the ranks of log probabilities as vLLM writes it: to compile that takes seconds.

    On a CPU it would also need a C++ compiler, which nothing else does.
    """
    from vllm.v1.sample import sampler

    name = "batched_count_greater_than"
    compiled = _part(sampler, name)
    setattr(sampler, name, getattr(compiled, "_torchdynamo_orig_callable", compiled))


def parse_grammars_once() -> None:
    """Parse each grammar once: vLLM does it for each request, to see whether it is one.

    That takes milliseconds for a grammar of texts with a bounded length.
    """
    from vllm.sampling_params import SamplingParams, StructuredOutputsParams
    from vllm.v1.structured_output import backend_xgrammar

    name = "validate_xgrammar_grammar"
    validate = _part(backend_xgrammar, name)
    if hasattr(validate, "__wrapped__"):
        return  # for an earlier engine

    @lru_cache(maxsize=1024)
    def parse(grammar: str) -> None:
        held = StructuredOutputsParams(grammar=grammar)
        validate(SamplingParams(structured_outputs=held))

    @wraps(validate)
    def once(sampling: Any) -> None:
        held = sampling.structured_outputs
        if held is not None and held.grammar is not None:
            parse(held.grammar)
        else:
            validate(sampling)

    setattr(backend_xgrammar, name, once)


def adapter_rank(config: dict[str, Any]) -> int:
    """Return the rank of a LoRA adapter from its configuration.

    Raises `ValueError` or `TypeError` with the reason if vLLM can't use it.
    """
    from vllm.config import lora
    from vllm.lora import peft_helper

    helper = _part(peft_helper, "PEFTHelper.from_dict")(config)
    most = max([_part(helper, "r"), *_part(helper, "rank_pattern").values()])
    helper.validate_legal(_part(lora, "LoRAConfig")(max_lora_rank=_HIGHEST_RANK))
    return int(most)


def shut_down(engine: Any) -> None:
    """Release the weights, cache and threads of an engine."""
    _part(engine, "engine_core.engine_core.shutdown")()


@contextmanager
def shared_state_kept() -> Iterator[None]:
    """Keep the state that all engines of the process share while one of them shuts down.

    Otherwise vLLM destroys the process groups, and the other engines fail at their next step.
    """
    from vllm.v1.engine import core
    from vllm.v1.worker import workspace

    shared = ((core, "cleanup_dist_env_and_memory"), (workspace, "reset_workspace_manager"))
    before: list[Callable[..., Any]] = [_part(module, name) for module, name in shared]
    for module, name in shared:
        setattr(module, name, lambda *_, **__: None)
    try:
        yield
    finally:
        for (module, name), value in zip(shared, before, strict=True):
            setattr(module, name, value)


def inner_id(inner: str, index: int, *, of: int) -> str:
    """Return vLLM's own id of a sample; `inner` is that of its request for `of` samples.

    >>> inner_id("7-ab", 1, of=2), inner_id("7-ab", 0, of=1)
    ('1_7-ab', '7-ab')
    """
    return f"{index}{_OF_SEVERAL}{inner}" if of > 1 else inner


def _part(root: Any, path: str) -> Any:
    """Return an attribute of an attribute. Raises `EngineError` if this vLLM has none."""
    found = root
    for name in path.split("."):
        if not hasattr(found, name):
            import vllm

            lacks = f"{getattr(root, '__name__', type(root).__name__)}.{path}"
            what = f"vLLM {vllm.__version__} does not fit this chainlang: it has no {lacks}"
            refuse(what, f'run: pip install "vllm{SUPPORTED}"')
        found = getattr(found, name)
    return found
