"""Layout of a request for vLLM: the tokens of its prompt, and the room that they leave."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from chainlang.engines import closing
from chainlang.engines.protocol import encoding_error
from chainlang.engines.vllm.chat_template import PromptError
from chainlang.engines.vllm.label_weights import LabelWeights
from chainlang.engines.vllm.prefill import Constraint, after_field, constraint, unprefilled
from chainlang.engines.vllm.tokenize import Prompts
from chainlang.engines.vllm.tool_parser import texts_of
from chainlang.protocol.messages import Failure, Message, Request
from chainlang.protocol.reasoning_tags import State


@frozen
class Layout:
    """The prompt of a request, with the beginning of its reply, and the bounds of a sample."""

    prompt: list[int]
    most: int
    """Maximum number of tokens to generate."""
    context: int | None
    """Size of the context if it sets that maximum; None if `max_tokens` does."""
    constraint: Constraint | None
    state: State
    """State of the prompt's end: whether samples begin with reasoning."""

    weights: LabelWeights | None
    """Scores of the request's labels; None without any."""
    prefix: int
    """Number of tokens of the request's prefix."""
    is_rest: bool
    """Whether the prompt ends with reasoning that a budget has stopped."""
    given: tuple[int, ...]
    """Tokens with which the reply begins, which are not generated."""
    budgets: Mapping[str, int]
    """Budgets of fields, in the room that there is."""

    reads_special: bool = False
    """Whether special tokens are looked for in a sample, as part of calls of tools."""

    @property
    def thinks(self) -> bool:
        """Whether a sample may begin with reasoning, or continues it."""
        return self.is_rest or self.state != "ended"


def is_heard(request: Request, laid: Layout) -> bool:
    """Return whether each token of a sample is looked at: to stream it, or to end the sample."""
    if request.stream or request.choices:
        return True
    return laid.thinks and bool(request.sampling.stop or request.thinking_tokens)


def layout(request: Request, prompts: Prompts, context: int) -> Layout | Failure:
    """Return the layout of a request in a context of some tokens; a failure if it can't be sent."""
    held = None
    if request.schema is not None:
        try:
            if request.begin is not None and request.begin.sample.closed_fields:
                begun = request.begin.sample
                held = after_field(request.schema, begun, prompts, lenient=request.lenient)
            else:
                held = constraint(request.schema, prompts, lenient=request.lenient)
        except ValueError as error:
            return Failure(request.id, "constraint", str(error))
    if any(message.images for message in request.messages):
        return Failure(
            request.id, "refused", "the vllm engine takes no images, and a turn has some"
        )
    if (least := prompts.min_tokens(request.messages)) >= context:
        what = f"the prompt has at least {least} tokens, the context {context}"
        return Failure(request.id, "context", what)
    try:
        check_tools(request, prompts)
        prompt = prompts.token_ids(
            request.messages, request.date, request.template_args, request.tools
        )
        if request.prefix and (why := encoding_error(Message("assistant", request.prefix))):
            raise PromptError(why)
        begins = tuple(prompts.text_ids(request.prefix)) if request.prefix else ()
    except PromptError as error:
        return Failure(request.id, "refused", str(error))
    room = context - len(prompt)
    given = thought(request, prompts)
    prompt += given
    is_field = request.begin is not None and bool(request.begin.sample.closed_fields)
    state: State = prompts.state(
        request.messages, request.date, request.template_args, request.tools
    )
    if given or is_field:  # after the end of reasoning
        state = "ended"
    if request.labels and state != "ended":
        what = (
            "the probability of a label is known only where a reply does not begin with reasoning"
        )
        return Failure(request.id, "refused", f"{what}; switch it off with template_args")
    if request.prefix and state != "ended":
        what = "a reply that begins with reasoning can't begin with a prefix"
        return Failure(request.id, "refused", f"{what}; switch it off with template_args")
    prompt += begins
    given += begins
    weights = LabelWeights.of(prompt, request.labels, prompts)
    if held is not None:
        held = held if state == "ended" else unprefilled(held)
        prompt += held.prefill_ids
        given += held.prefill_ids
    if len(prompt) >= context:
        what = f"the prompt has {len(prompt)} tokens, the context {context}"
        return Failure(request.id, "context", what)
    if weights is not None and weights.longest > context:
        what = f"the prompt leaves no room for a label in the context, {context}"
        return Failure(request.id, "context", what)
    most = max(1, request.sampling.max_tokens - len(given))  # what is given counts as generated
    budgets = closing.effective(request.budgets, request.sampling.max_tokens, room)
    room = context - len(prompt)
    bound, most = (context, room) if room < most else (None, most)
    rest = request.begin is not None and not is_field
    reads = prompts.calls is not None and prompts.calls.reads_special(request.tools)
    pieces = (prompt, most, bound, held, state, weights, len(begins), rest, given, budgets)
    return Layout(*pieces, reads_special=reads)


def check_tools(request: Request, prompts: Prompts) -> None:
    """Raise `PromptError` for tools and calls that the template would print as markup."""
    if texts_of(request) and prompts.has_markup(texts_of(request)):
        raise PromptError("a tool, or a call of one, has a special token of the model in it")


def thought(request: Request, prompts: Prompts) -> tuple[int, ...]:
    """Return the tokens of reasoning that a budget has stopped, with its end."""
    if request.begin is None or prompts.tags is None or request.begin.sample.closed_fields:
        return ()
    return (*request.begin.sample.token_ids, prompts.tags.end_id)
