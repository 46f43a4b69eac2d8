"""Samples of one response of a server."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress

import attrs
from attrs import frozen

from chainlang.engines.closing import is_full
from chainlang.protocol.messages import Sample, Usage


@frozen
class Response:
    """The samples of one response, by index, and their usage."""

    samples: Mapping[int, Sample]
    usage: Usage

    @property
    def tokens(self) -> int:
        """Tokens of the prompt and of all replies."""
        return self.usage.prompt_tokens // max(1, self.usage.calls) + self.usage.output_tokens

    def cut_by(self, context: int) -> Response:
        """Return the response with a context as what cut its samples; 0 if its size is unknown."""
        samples = {
            number: attrs.evolve(one, context=context) if one.finish == "length" else one
            for number, one in self.samples.items()
        }
        return attrs.evolve(self, samples=samples)

    def closed(self, budgets: Mapping[str, int]) -> Response:
        """Return the response with the fields of samples that are as long as their budgets."""
        samples = dict(self.samples)
        for number, one in samples.items():
            with suppress(RecursionError, ValueError):
                fields = json.loads(one.text)
                if isinstance(fields, dict):
                    full = (name for name in budgets if is_full(fields.get(name), budgets[name]))
                    samples[number] = attrs.evolve(one, closed_fields=tuple(full))
        return attrs.evolve(self, samples=samples)

    def moved(self, failures: Mapping[str, str], url: str) -> Response:
        """Return the response of an address after the failures of others, by their addresses."""
        others = [f"{one} failed: {why}" for one, why in failures.items() if one != url]
        if not others:
            return self
        said = f"{url} answered, as {'; '.join(others)}"
        samples = {n: attrs.evolve(one, moved=said) for n, one in self.samples.items()}
        return attrs.evolve(self, samples=samples)

    def unbounded(self, names: Iterable[str]) -> Response:
        """Return the response of a server that has refused the budgets of some fields."""
        return self.without(*(f'the budget of "{name}"' for name in names))

    def without(self, *parts: str) -> Response:
        """Return the response of a server that has not enforced some parts of the schema."""
        samples = {
            number: attrs.evolve(one, unkept=(*one.unkept, *parts))
            for number, one in self.samples.items()
        }
        return attrs.evolve(self, samples=samples) if parts else self
