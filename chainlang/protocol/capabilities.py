"""Guarantees of engines."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True, cache_hash=True)
class Capabilities:
    """Guarantees of an engine. A chain that needs more is refused, or the run reports it."""

    name: str
    schemas: bool
    """Enforces JSON schemas, and fails requests whose schema it can't enforce. Without it, the
    schema is passed on, and each stage validates the reply."""
    seeds: bool
    """A sample is a function of the request and its seed."""
    batch_invariant: bool
    """A sample does not depend on the other requests in its batch."""
    plain_values: bool
    """Special tokens in the text of a message are sent as plain text."""
    token_ids: bool = False
    """Samples hold their token ids, so that their length is exact."""
    priorities: bool = False
    """Requests run in the order of their `priority`."""
    logprobs: bool = False
    """Samples hold log probabilities, if the request asks for them."""
    options: tuple[str, ...] = ()
    """Options of stages that it acts on, of those that only some engines have
    (`chainlang.ir.sampling_options.DECLARED`)."""
    streams: bool = False
    """Returns deltas, if the request asks for them."""
    continues: bool = False
    """Ends reasoning at `Request.thinking_tokens`, and continues the sample that a request's
    `begin` holds."""
    closes: bool = False
    """Closes fields at `Request.budgets`, and continues the sample after them. Without it, a schema
    can only bound the characters of a field, at four a token."""
    prefixes: bool = False
    """Begins the text of a sample with `Request.prefix`."""
    images: bool = False
    """Sends the images of messages to the model."""
    adapters: bool = False
    """Samples from the model with the LoRA adapter of each request, all of them in one batch."""
    tools: bool = False
    """Sends `Request.tools` to the model, and returns its calls of them."""
    typed_tools: bool = False
    """Does so also where the reply has a schema."""
    decides: bool = False
    """Stops a sample once its beginning allows a single one of `Request.choices`."""
    blank_stops: bool = True
    """Takes stop strings of blanks and line breaks alone."""
    temperatures: tuple[float, float] = (0.0, 2.0)
    """Lowest and highest temperature that it takes."""
    deadlines: bool = False
    """Enforces `Request.deadline`, counted from when the request is sent. Without it, the runtime
    enforces the deadline, counted from when the request is submitted."""


RESULT_CAPABILITIES = ("schemas", "seeds", "batch_invariant", "plain_values")
"""The capabilities that bear on results: a run is resumed only with equal ones."""
