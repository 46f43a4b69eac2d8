"""An engine in this process: vLLM on a GPU, or on the CPU where there is none.

This module and its neighbours named ``vllm_*`` are the only ones that know vLLM, and they import it
when an engine is made.
"""

from __future__ import annotations

import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from chainlang.engines.protocol import Metrics, Size, refuse
from chainlang.engines.vllm.fingerprint import fingerprint
from chainlang.engines.vllm.in_flight import Flight
from chainlang.engines.vllm.load import Loaded, found, leisure, load, prepare, shut
from chainlang.engines.vllm.memory_size import size
from chainlang.engines.vllm.metrics import Scheduled
from chainlang.engines.vllm.prompt_reader import VllmReader
from chainlang.engines.vllm.sampling_params import parameters
from chainlang.engines.vllm.tokenize import PromptError
from chainlang.interrupts import held
from chainlang.protocol.failures import FailureKind
from chainlang.protocol.messages import (
    Capabilities,
    Completion,
    Delta,
    Failure,
    Fingerprint,
    Finish,
    Request,
    Usage,
)

_WAIT = 0.5  # seconds that a reply waits for others, at most: somebody may have a deadline
_FINISHES: dict[str, Finish] = {"stop": "stop", "length": "length"}


class VllmEngine:
    """Answers requests with a model in this process; all stages that name the model share it.

    `model` is a folder with weights, tokenizer and chat template, or a name on the hub. The rest is
    as vLLM has it: `max_model_len` is the most tokens of prompt and reply together, None for what
    the model allows; `max_num_seqs` the most samples in a batch; `dtype` one of "auto", "float32",
    "float16" and "bfloat16", None for the model's own on a GPU and for float32 on the CPU, where
    replies then depend on nothing but the request. `gpu_memory_utilization` is a share of the
    memory, 0 to 1. `seed` is that of requests without one, so of none that a chain makes.
    `progress` is told, in words, what loading is at: it takes from seconds to minutes. `loaded` is
    whether that is done at once; else `load` does it, before anything is submitted.

    One thread uses all the engines of a process, in turns. Raises `EngineError` where vLLM is
    missing or does not work, and for a model that is not there or can't be loaded.
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
        seed: int = 0,
        progress: Callable[[str], None] | None = None,
        loaded: bool = True,
    ) -> None:
        self.model = found(model)
        self.steps = 0
        """How many times the model was run, for a batch of samples each time."""
        settings = {
            "max_model_len": max_model_len,
            "max_num_seqs": max_num_seqs,
            "dtype": dtype,
            "quantization": quantization,
            "revision": revision,
            "enable_prefix_caching": enable_prefix_caching,
            "gpu_memory_utilization": gpu_memory_utilization,
            "tensor_parallel_size": tensor_parallel_size,
            "seed": seed,
        }
        self._settings = settings
        self._model = prepare(self.model, settings, progress)
        self._batch = int(self._model.config.scheduler_config.max_num_seqs)
        self.context = self._model.context
        """The most tokens of prompt and reply together."""
        self.reader = VllmReader.of(self._model)
        self._scheduled = Scheduled()
        self._drawn_to_end = Usage()
        self._leisure = 0
        self._loaded: Loaded | None = None
        self._shut: Callable[[], object] = lambda: None
        self._closed = False
        self._failed: list[Completion | Failure] = []
        self._flying: dict[str, Flight] = {}
        self._tickets: dict[str, str] = {}  # an id may come again after an abort; a ticket not
        self._issued = 0
        self._submitted = 0
        self._broken: str | None = None
        if loaded:
            self.load(progress)

    def __repr__(self) -> str:
        return f"VllmEngine({self.model!r})"

    @property
    def capabilities(self) -> Capabilities:
        """Everything, but on a GPU the same tokens only with ``VLLM_BATCH_INVARIANT=1``."""
        return Capabilities(
            name="vllm",
            schemas=True,
            seeds=True,
            batch_invariant=self._model.batch_invariant,
            plain_values=True,
            token_ids=True,
            priorities=True,
            logprobs=True,
            streams=True,
            decides=True,
        )

    @property
    def metrics(self) -> Metrics:
        """What it has done: prompts as vLLM's scheduler took them, those too that were aborted."""
        usage = self._scheduled.of(self._drawn_to_end)
        return Metrics(self._submitted, usage, self.steps, self._scheduled.preemptions)

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Its files by their content, the version of vLLM, and the device.

        The first look reads all the weights, which takes about a second for a gigabyte.
        """
        return fingerprint(self._model.config, self._model.template)

    @cached_property
    def size(self) -> Size | None:
        """The memory that it holds while it is loaded; None where its weights are not here yet."""
        return size(self.model, self._settings)

    @property
    def loaded(self) -> bool:
        """Whether it is."""
        return self._loaded is not None

    def load(self, progress: Callable[[str], None] | None = None) -> None:
        """Load the model, if it is not; `progress` is told of that.

        Raises `EngineError` with the reason if it can't be.
        """
        self._check_open()
        if self._loaded is None:
            loaded = load(self._model, progress)
            self._leisure = leisure(loaded.config)
            self._scheduled.watch(loaded.engine.engine_core.engine_core.scheduler)
            self._shut = weakref.finalize(self, shut, loaded.engine)
            self._loaded, self._broken = loaded, None

    def unload(self) -> None:
        """Forget everything and give the memory back, until it is loaded again."""
        self._forget(list(self._flying))
        self._failed.clear()
        self._loaded = None
        self._shut()

    def _check_open(self) -> None:
        if self._closed:
            refuse("the engine is closed", "make a new one")

    def submit(self, requests: Iterable[Request]) -> None:
        """Take requests. Raises `EngineError` once closed, and while it is not loaded."""
        if self._loaded is None:
            self._check_open()
            refuse("the engine is not loaded", "call its load() first")
        for request in requests:
            self._submitted += 1
            failure = self._add(request, self._loaded)
            if failure is not None:
                self._failed.append(failure)

    def step(self) -> list[Completion | Failure | Delta]:
        """Draw a token of each sample in the batch, and return the requests that are done.

        While more samples wait than the batch takes, it is several tokens: what follows on a reply
        would have to wait too, and prompts that are read together take less time than one by one.
        """
        if self._failed:
            failed, self._failed = self._failed, []
            return [*failed]
        found: list[Completion | Failure | Delta] = []
        last, began = self._scheduled.tokens + self._leisure, time.monotonic()
        while True:
            drawn = self._drawn()
            found += drawn
            told = any(isinstance(one, Delta) for one in drawn)
            waited = time.monotonic() - began
            if told or waited > _WAIT or self._scheduled.tokens >= last or not self._crowded():
                return found

    def _drawn(self) -> list[Completion | Failure | Delta]:
        if self._loaded is None or not self._flying:
            return []
        self.steps += 1
        try:
            with held():  # what it has begun in a step, vLLM has to end; and it might swallow it
                outputs = self._loaded.engine.step()
        except Exception as error:  # noqa: BLE001  # whatever it is, each request has to come back
            return [*self._break(error)]
        return [one for output in outputs for one in self._take(output)]

    def _crowded(self) -> bool:
        """Return whether samples wait for a place in the batch."""
        if self._loaded is None or not self._flying:
            return False
        return bool(self._loaded.engine.get_num_unfinished_requests() > self._batch)

    def abort(self, ids: Iterable[str]) -> None:
        """Forget requests, and give their place in the batch to others."""
        wanted = set(ids)
        self._failed = [one for one in self._failed if one.id not in wanted]
        tickets = [self._tickets[name] for name in wanted if name in self._tickets]
        self._forget(tickets)

    def close(self) -> None:
        """Forget everything and give the memory back, for good. Closing twice does no harm."""
        self._closed = True
        self.unload()

    # ---- one request

    def _add(self, request: Request, loaded: Loaded) -> Failure | None:
        """Hand a request to vLLM; return why not, if not."""
        if self._broken is not None:
            return Failure(request.id, "engine", self._broken)
        try:
            schema, lenient = request.schema, request.lenient
            form = None if schema is None else self.reader.form(schema, lenient=lenient)
        except ValueError as error:
            return Failure(request.id, "constraint", str(error))
        if (least := loaded.prompts.at_least(request.messages)) >= self.context:
            what = f"the prompt has at least {least} tokens, the context {self.context}"
            return Failure(request.id, "context", what)
        try:
            prompt = loaded.prompts.token_ids(request.messages)
        except PromptError as error:
            return Failure(request.id, "refused", str(error))
        given = form.opening_ids if form else ()
        prompt += given
        if len(prompt) >= self.context:
            what = f"the prompt has {len(prompt)} tokens, the context {self.context}"
            return Failure(request.id, "context", what)
        self._issued += 1
        ticket = str(self._issued)
        try:
            most = max(1, request.sampling.max_tokens - len(given))  # it is part of the reply
            most = min(most, self.context - len(prompt))
            drawing = parameters(request, form.grammar if form else None, most)
            with held(), _unwarned() if form else nullcontext():
                inner = loaded.engine.add_request(
                    ticket,
                    {"type": "token", "prompt_token_ids": prompt},
                    drawing,
                    priority=request.priority,
                )
        except Exception as error:  # noqa: BLE001  # of several types, one for each of its parts
            kind: FailureKind = "constraint" if form else "refused"
            return Failure(request.id, kind, f"vLLM refuses the request: {error}")
        self._tickets[request.id] = ticket
        self._flying[ticket] = Flight(request, inner, len(prompt), most, form)
        return None

    def _take(self, output: Any) -> Iterator[Completion | Failure | Delta]:
        """Take what vLLM reports of a request; yield what streams, and the request when done."""
        flight = self._flying.get(output.request_id)
        if flight is None:
            return
        for one in output.outputs:
            if one.index in flight.samples:
                continue  # it was ended in the step that this report is of
            text, reason = flight.text(one), one.finish_reason
            if flight.request.stream and len(text) > (told := flight.told.get(one.index, 0)):
                flight.told[one.index] = len(text)
                yield Delta(flight.request.id, one.index, text[told:])
            if reason is None:
                whole = flight.decided(one, text)
                if whole is None:
                    continue
                text, reason = whole, "stop"
                self._end(flight, one.index)
            finish = _FINISHES.get(reason)
            if finish is None:
                yield self._give_up(output.request_id, flight, reason)
                return
            flight.take(one, text, finish)
            flight.cached += output.num_cached_tokens or 0
        request, drawn = flight.request, flight.request.drawn
        if len(flight.samples) < drawn:
            return
        del self._flying[output.request_id], self._tickets[request.id]
        if flight.ended and drawn > 1 and self._loaded is not None:
            with held():  # it waits for the samples that were ended
                self._loaded.engine.abort_request([flight.inner], internal=True)
        completion = flight.completion()
        self._drawn_to_end += completion.usage
        yield completion

    def _end(self, flight: Flight, index: int) -> None:
        """Draw no more of a sample."""
        flight.ended.append(index)
        if self._loaded is None:
            return
        several = flight.request.drawn > 1
        with held():
            name = f"{index}_{flight.inner}" if several else flight.inner
            self._loaded.engine.abort_request([name], internal=True)

    def _give_up(self, ticket: str, flight: Flight, reason: str) -> Failure:
        self._forget([ticket])
        if flight.request.schema is not None:
            what = "vLLM could not compile the schema"
            return Failure(flight.request.id, "constraint", what)
        return Failure(flight.request.id, "engine", f"vLLM gave up on the request: {reason}")

    def _forget(self, tickets: list[str]) -> None:
        for ticket in tickets:
            flight = self._flying.pop(ticket)
            del self._tickets[flight.request.id]
        if tickets and self._loaded is not None and self._broken is None:
            with held():
                self._loaded.engine.abort_request(tickets)

    def _break(self, error: Exception) -> list[Completion | Failure]:
        """Fail everything in flight, and everything to come: vLLM does not recover from a step."""
        self._broken = f"vLLM failed: {type(error).__name__}: {error}"
        names, self._tickets = list(self._tickets), {}
        self._flying.clear()
        return [Failure(name, "engine", self._broken) for name in names]


@contextmanager
def _unwarned() -> Iterator[None]:
    """Keep to ourselves what the compiler of schemas says to vLLM about its own future."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
