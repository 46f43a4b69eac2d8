"""An engine that generates in batches, on a virtual clock, with the step costs of vLLM on a CPU."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from attrs import define, evolve

from chainlang.engines.fake import FakeEngine
from chainlang.engines.fake.replies import tokens_of
from chainlang.engines.fake.scripts import Answers
from chainlang.protocol.capabilities import Capabilities
from chainlang.protocol.messages import Completion, Delta, Failure, Request

STEP, TOKEN, PROMPT_TOKEN = 1.6e-3, 7e-5, 2.2e-5
"""Seconds of a step, of each token that it generates, and of each that it reads."""


@define
class _Running:
    """A request in the batch: its reply, and the tokens of its prompt and samples that are left."""

    reply: Completion | Failure
    prompt: int
    samples: list[int]


class BatchedEngine(FakeEngine):
    """An engine with `seats` in its batch; each step generates a token of every sample in it.

    `serial`: whether it says that a step takes the longer the more samples are in the batch.
    """

    def __init__(self, answers: Answers, *, seats: int, serial: bool = False) -> None:
        super().__init__(answers=answers)
        self.seats, self.serial = seats, serial
        self.steps = 0
        """Runs of the model."""
        self._waiting: list[tuple[int, int, Request]] = []
        self._batch: dict[str, _Running] = {}

    @property
    def capabilities(self) -> Capabilities:
        return evolve(super().capabilities, priorities=True)

    def submit(self, requests: Iterable[Request]) -> None:
        for request in requests:
            self.submitted += 1
            heapq.heappush(self._waiting, (request.priority, self.submitted, request))

    def step(self, until: float | None = None) -> list[Completion | Failure | Delta]:
        self._fill()
        if not self._batch:
            self.now = max(self.now, until or 0.0)
            return []
        read = sum(one.prompt for one in self._batch.values())
        drawn = sum(len(one.samples) for one in self._batch.values() if not one.prompt)
        self.steps += 1
        self.now += STEP + TOKEN * drawn + PROMPT_TOKEN * read
        for one in self._batch.values():
            one.prompt, one.samples = 0, [left - 1 for left in one.samples if left > 1]
        done = [name for name, one in self._batch.items() if not one.samples]
        return [self._batch.pop(name).reply for name in done]

    def abort(self, ids: Iterable[str]) -> None:
        gone = set(ids)
        self._waiting = [one for one in self._waiting if one[2].id not in gone]
        heapq.heapify(self._waiting)
        for name in gone & self._batch.keys():
            del self._batch[name]

    def _fill(self) -> None:
        """Begin with waiting requests while there are free seats for their samples."""
        taken = sum(len(one.samples) for one in self._batch.values())
        while self._waiting and (not taken or taken + self._waiting[0][2].drawn <= self.seats):
            request = heapq.heappop(self._waiting)[2]
            reply = self.complete(request)
            samples = [1]
            if isinstance(reply, Completion):
                samples = [one.tokens for one in reply.samples[: request.drawn]]
            prompt = sum(tokens_of(one.text) for one in request.messages)
            self._batch[request.id] = _Running(reply, prompt, samples)
            taken += len(samples)
