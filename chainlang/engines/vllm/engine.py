"""Engine that runs vLLM in this process, on a GPU or else on the CPU.

vLLM is imported when an engine is created.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from chainlang.engines.protocol import Metrics, Size, refuse
from chainlang.engines.vllm import private_api
from chainlang.engines.vllm.adapters import Adapters
from chainlang.engines.vllm.capabilities import capabilities
from chainlang.engines.vllm.engine_arguments import in_fingerprint
from chainlang.engines.vllm.fingerprint import fingerprint
from chainlang.engines.vllm.in_flight import RequestInFlight
from chainlang.engines.vllm.interruption import not_halfway
from chainlang.engines.vllm.label_weights import Scoring
from chainlang.engines.vllm.load import (
    Loaded,
    check_process,
    load,
    prepare,
    resolve_model,
    shut_down,
    spare_tokens,
)
from chainlang.engines.vllm.memory_size import size
from chainlang.engines.vllm.metrics import SchedulerCounts
from chainlang.engines.vllm.prompt_reader import VllmReader
from chainlang.engines.vllm.request_layout import Layout, layout
from chainlang.engines.vllm.sampling_params import sampling_params
from chainlang.engines.vllm.silence import without_warnings
from chainlang.interrupts import interrupts_deferred
from chainlang.protocol.capabilities import Capabilities
from chainlang.protocol.failures import FailureKind
from chainlang.protocol.messages import (
    Completion,
    Delta,
    Failure,
    Fingerprint,
    Finish,
    Request,
    Usage,
)
from chainlang.protocol.template_args import fault

__all__ = ["VllmEngine"]

_WAIT = 0.5  # seconds that a finished request may wait for others in a step
_FINISHES: dict[str, Finish] = {"stop": "stop", "length": "length"}


class VllmEngine:
    """A model in this process, shared by all stages that name it.

    `model`: a folder with weights, tokenizer and chat template, or a name on the Hugging Face hub.
    The other arguments are vLLM's:
    `max_model_len`: maximum tokens of prompt and reply together; default: the model's context.
    `max_num_seqs`: maximum samples in a batch.
    `dtype`: "auto", "float32", "float16" or "bfloat16". Default: the model's own on a GPU; float32
    on the CPU, with which replies don't depend on the rest of the batch.
    `gpu_memory_utilization`: share of the device's memory to use, 0 to 1.
    `chat_template`: a template, the path of one, or "none" for a base model: the texts of the
    messages as they are, one after another. Default: that of the tokenizer.
    `template_args`: arguments of the chat template, such as ``{"enable_thinking": False}``.
    `reasoning`: name of vLLM's parser of the model's reasoning, such as "qwen3", for models that
    think before they reply.
    `tool_parser`: name of vLLM's parser of the calls of tools in a reply, such as "hermes".
    `lora`: a LoRA adapter of the model, as the folder of one or its name on the hub.
    `max_lora_rank`: the rank that an adapter may have; default: any.
    Any other argument of vLLM's ``EngineArgs`` can be given, too.
    `seed`: seed of requests without one; the requests of a chain always have one.
    `progress`: callback for messages about loading, which takes seconds to minutes.
    `loaded`: whether to load the model at once; otherwise call `load` before `submit`.

    One thread uses all engines of a process. Raises `EngineError` if vLLM is missing or does not
    work here, and if the model can't be found or loaded.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        max_model_len: int | None = None,
        max_num_seqs: int | None = None,
        dtype: Literal["auto", "float32", "float16", "bfloat16"] | None = None,
        quantization: str | None = None,
        revision: str | None = None,
        enable_prefix_caching: bool = True,
        gpu_memory_utilization: float | None = None,
        tensor_parallel_size: int | None = None,
        chat_template: str | Path | None = None,
        template_args: Mapping[str, Any] | None = None,
        reasoning: str | None = None,
        tool_parser: str | None = None,
        lora: str | Path | None = None,
        max_lora_rank: int | None = None,
        seed: int = 0,
        progress: Callable[[str], None] | None = None,
        loaded: bool = True,
        **arguments: Any,
    ) -> None:
        self.model = resolve_model(model)
        self.steps = 0
        """Runs of the model, each for one batch."""
        self._settings = settings = {
            "max_model_len": max_model_len,
            "max_num_seqs": max_num_seqs,
            "dtype": dtype,
            "quantization": quantization,
            "revision": revision,
            "enable_prefix_caching": enable_prefix_caching,
            "gpu_memory_utilization": gpu_memory_utilization,
            "tensor_parallel_size": tensor_parallel_size,
            "seed": seed,
            **arguments,
        }
        if template_args is not None and (what := fault(template_args)) is not None:
            refuse(f"template_args can't be passed: {what}", setting="template_args")
        prompting = {"reasoning": reasoning, "template_args": template_args or None}
        self._prompting = {**prompting, "tool_parser": tool_parser}
        self._model = prepare(
            self.model, settings, progress, chat_template=chat_template, **self._prompting
        )
        self._batch = int(self._model.config.scheduler_config.max_num_seqs)
        self.context = self._model.context
        """Maximum tokens of prompt and reply together."""
        self.reader = VllmReader.of(self._model)
        self._scheduled = SchedulerCounts()
        self._finished_usage = Usage()
        self._spare_tokens = 0
        self._loaded: Loaded | None = None
        self._shut_down: Callable[[], object] = lambda: None
        self._closed = False
        self._failed: list[Completion | Failure] = []
        self._in_flight: dict[str, RequestInFlight] = {}
        self._scoring = Scoring()
        self.adapters = Adapters.of(self.model, revision, lora, max_lora_rank)
        self._tickets: dict[str, str] = {}  # an id may be used again after an abort; a ticket never
        self._issued = 0
        self._submitted = 0
        self._broken: str | None = None
        if loaded:
            self.load(progress)

    def __repr__(self) -> str:
        return f"VllmEngine({self.model!r})"

    @property
    def capabilities(self) -> Capabilities:
        """All but deadlines; batch invariant on a GPU only with ``VLLM_BATCH_INVARIANT=1``."""
        return capabilities(self._model, adapts=bool(self.adapters.known))

    @property
    def serial(self) -> bool:
        """Whether a step takes the longer the more samples are in the batch: on the CPU."""
        return self._model.device == "cpu"

    @property
    def metrics(self) -> Metrics:
        """Counters since it was created. Prompt tokens include those of aborted requests."""
        usage = self._scheduled.with_prompts(self._finished_usage)
        return Metrics(self._submitted, usage, self.steps, self._scheduled.preemptions)

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Digests of the model's files, version of vLLM, and device.

        Computing it reads all the weights once, at about a gigabyte a second.
        """
        own = in_fingerprint({**self._settings, **self._prompting})
        dated = self._model.prompts.reads_date
        found = fingerprint(self._model.config, self._model.template, dated=dated)
        return {**found, **own, **self.adapters.fingerprint("")}

    def fingerprint_with(self, adapter: str) -> Fingerprint:
        """Return the fingerprint of the model with an adapter that it has adopted."""
        return {**self.fingerprint, **self.adapters.fingerprint(adapter)}

    @property
    def size(self) -> Size | None:
        """Memory that it holds while loaded; None if its weights are not downloaded yet."""
        return size(self.model, self._settings, self.adapters.folders)

    def has_room_for(self, adapters: Iterable[str]) -> bool:
        """Return whether it is loaded with these adapters, or not loaded yet."""
        return not self.loaded or self.adapters.has(adapters)

    def adopt(self, adapter: str, most: int | None = None) -> None:
        """Make room for a LoRA adapter, whose rank may be `most`, before the model is loaded."""
        self.adapters.adopt(adapter, most, loaded=self.loaded)

    @property
    def loaded(self) -> bool:
        """Whether the model is loaded."""
        return self._loaded is not None

    def load(self, progress: Callable[[str], None] | None = None) -> None:
        """Load the model unless it is loaded, and call `progress` with messages about it.

        Raises `EngineError` with the reason if it can't be loaded.
        """
        self._check_open()
        check_process()
        if self._loaded is not None:
            return
        with not_halfway(f"loading {self.model}"):
            loaded = load(self._model, progress, self.adapters.all)
            self._spare_tokens = spare_tokens(loaded.config)
            private_api.on_each_batch(loaded.engine, self._scheduled.add)
            self._shut_down = weakref.finalize(self, shut_down, loaded.engine, os.getpid())
            self._loaded, self._broken = loaded, None

    def unload(self) -> None:
        """Drop all requests and free the memory, until the model is loaded again."""
        self._drop(list(self._in_flight))
        self._failed.clear()
        self._loaded = None
        self._shut_down()

    def _check_open(self) -> None:
        if self._closed:
            refuse("the engine is closed", "make a new one")

    def submit(self, requests: Iterable[Request]) -> None:
        """Enqueue requests. Raises `EngineError` if closed or not loaded."""
        if self._loaded is None:
            self._check_open()
            refuse("the engine is not loaded", "call its load() first")
        check_process()
        laid = [(one, layout(one, self._loaded.prompts, self.context)) for one in requests]
        with interrupts_deferred():  # once for all of them: changing the handler takes long
            for request, how in laid:
                self._submitted += 1
                added = self._add(request, how, self._loaded) if isinstance(how, Layout) else how
                if added is not None:
                    self._failed.append(added)

    def step(self) -> list[Completion | Failure | Delta]:
        """Generate a token of each sample in the batch, and return new results.

        While samples wait for a free slot in the batch, one call generates several tokens: requests
        that follow from a result would have to wait anyway, and prompts submitted together are
        processed faster than one by one.
        """
        if self._failed:
            failed, self._failed = self._failed, []
            return [*failed]
        results: list[Completion | Failure | Delta] = []
        last, began = self._scheduled.tokens + self._spare_tokens, time.monotonic()
        while True:
            new = self._run_model()
            results += new
            streamed = any(isinstance(result, Delta) for result in new)
            waited = time.monotonic() - began
            if streamed or waited > _WAIT or self._scheduled.tokens >= last or not self._is_full():
                return results

    def _run_model(self) -> list[Completion | Failure | Delta]:
        if self._loaded is None or not self._in_flight:
            return []
        self.steps += 1
        try:
            with interrupts_deferred():  # vLLM must finish a step, and might swallow the interrupt
                outputs = self._loaded.engine.step()
        except Exception as error:  # noqa: BLE001  # each request has to come back in any case
            return [*self._fail_all(error)]
        return [result for output in outputs for result in self._take(output)]

    def _is_full(self) -> bool:
        """Return whether samples wait for a free slot in the batch."""
        loaded = self._loaded if self._in_flight else None
        return loaded is not None and loaded.engine.get_num_unfinished_requests() > self._batch

    def abort(self, ids: Iterable[str]) -> None:
        """Drop requests and free their slots in the batch."""
        aborted = set(ids)
        self._failed = [failure for failure in self._failed if failure.id not in aborted]
        tickets = [self._tickets[name] for name in aborted if name in self._tickets]
        self._drop(tickets)

    def close(self) -> None:
        """Drop all requests and free the memory for good. Closing twice does no harm."""
        self._closed = True
        self.unload()

    # ---- one request

    def _add(self, request: Request, laid: Layout, loaded: Loaded) -> Failure | None:
        """Add a request to vLLM; return the failure if it can't be added."""
        if self._broken is not None:
            return Failure(request.id, "engine", self._broken)
        self._issued += 1
        ticket = str(self._issued)
        try:
            constraint = laid.constraint
            sampling = sampling_params(request, laid, self.reader.token_id)
            with without_warnings() if constraint else nullcontext():
                prompt = {"type": "token", "prompt_token_ids": laid.prompt}
                adapter = self.adapters.request(request)
                inner = loaded.engine.add_request(
                    ticket, prompt, sampling, priority=request.priority, lora_request=adapter
                )
                if laid.weights is not None:
                    self._scoring.begin(loaded.engine, ticket, laid.weights, request.priority)
        except Exception as error:  # noqa: BLE001  # each of vLLM's parts raises other types
            kind: FailureKind = "constraint" if constraint else "refused"
            return Failure(request.id, kind, f"vLLM refuses the request: {error}")
        self._tickets[request.id] = ticket
        self._in_flight[ticket] = RequestInFlight(request, inner, laid, loaded.prompts)
        return None

    def _take(self, output: Any) -> Iterator[Completion | Failure | Delta]:
        """Process an output of vLLM; yield new text, if streamed, and the finished request."""
        owner = self._scoring.take(output)
        flight = self._in_flight.get(owner)
        if flight is None:
            return
        for new in output.outputs if owner == output.request_id else ():
            if new.index in flight.samples:
                continue  # it was stopped early in this step
            sample = flight.so_far(new)
            reason = sample.finish_reason
            if flight.over_budget(sample):
                yield from flight.last_deltas(sample.index)
                flight.note_cached(output)
                if reason is None:
                    self._stop_early(flight, sample.index)
                continue
            if reason is None and not flight.is_heard:
                continue
            if reason is None and not flight.request.stream and flight.is_all_reasoning(sample):
                continue
            reasoning, text = flight.texts(sample)
            text, stop = flight.stopped(text)
            if flight.request.stream:
                done = reason is not None or stop is not None
                yield from flight.deltas(sample.index, reasoning, text, done=done)
            if reason is None or stop is not None:
                whole = flight.completed(sample, text) if stop is None else text
                if whole is None:
                    continue
                text = whole
                if reason is None:
                    self._stop_early(flight, sample.index)
                reason = "stop"
            finish = _FINISHES.get(reason)
            if finish is None:
                self._drop([output.request_id])
                yield flight.failure(reason)
                return
            flight.take(sample, reasoning, text, finish, stop)
            flight.note_cached(output)
        if flight.is_done:
            yield self._completed(owner, flight)

    def _completed(self, ticket: str, flight: RequestInFlight) -> Completion:
        """Remove a request whose samples are finished, and return its completion."""
        del self._in_flight[ticket], self._tickets[flight.request.id]
        if flight.ended_early and flight.drawn > 1 and self._loaded is not None:
            with interrupts_deferred():  # vLLM's parent request waits for the stopped samples
                self._loaded.engine.abort_request([flight.inner], internal=True)
        completion = flight.completion(self._scheduled.take_cached(flight.several))
        self._finished_usage += completion.usage
        return completion

    def _stop_early(self, flight: RequestInFlight, index: int) -> None:
        """Stop the generation of a sample."""
        flight.ended_early = True
        if self._loaded is None:
            return
        name = private_api.inner_id(flight.inner, index, of=flight.drawn)
        with interrupts_deferred():
            self._loaded.engine.abort_request([name], internal=True)

    def _drop(self, tickets: list[str]) -> None:
        for ticket in tickets:
            flight = self._in_flight.pop(ticket)
            del self._tickets[flight.request.id]
            self._scheduled.take_cached(flight.several)
            tickets = [*tickets, *self._scoring.drop(flight.layout.weights)]
        if tickets and self._loaded is not None and self._broken is None:
            with interrupts_deferred():
                self._loaded.engine.abort_request(tickets)

    def _fail_all(self, error: Exception) -> list[Completion | Failure]:
        """Fail all requests, also later ones: vLLM does not recover from a failed step."""
        self._broken = f"vLLM failed: {type(error).__name__}: {error}"
        names, self._tickets = list(self._tickets), {}
        self._in_flight.clear()
        return [Failure(name, "engine", self._broken) for name in names]
