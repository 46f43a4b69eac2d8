"""Inputs and outputs of a chain among runnables: rows of LangChain's values, answers as JSON."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.prompt_values import ChatPromptValue, PromptValue

from chainlang.datatypes.plain_values import plain
from chainlang.errors import error_of
from chainlang.session.result import Result


def row_of(given: Any) -> Any:
    """Return the row of an input: the text of a prompt or of a message, else the value itself.

    Raises `OperandError` for a conversation, since a chain writes its own messages.
    """
    if isinstance(given, ChatPromptValue) and len(given.messages) != 1:
        message = f"a chain takes a row, found a prompt of {len(given.messages)} messages"
        hint = "give it the values of the prompt: as_runnable(chain) after a dict or a text; "
        hint += "what the messages say belongs into the chain: op ask : generate { system = ... }"
        raise error_of("operand", message, hint)
    if isinstance(given, ChatPromptValue):
        return str(given.messages[0].text)
    if isinstance(given, PromptValue):
        return given.to_string()
    return str(given.text) if isinstance(given, BaseMessage) else given


def answer_of(result: Result) -> Any:
    """Return the answer as JSON values; of a branched chain, the answer of each branch by name.

    Raises `RowError` if the row failed.
    """
    if result.failure is not None:
        raise result.failure.error()
    if result.branches:
        return {name: answer_of(one) for name, one in result.branches.items()}
    return plain(result.answer)
