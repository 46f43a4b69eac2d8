"""Nodes of Chainette: `Step`, `ApplyNode`, `Branch`, their operators, and their `execute`."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NoReturn, TypeAlias

from attrs import define, evolve, field

from chainlang.api.chain import refuse

__all__ = ["ApplyNode", "Branch", "Node", "Pipe", "SamplingParams", "Step", "apply", "pipe"]

SamplingParams = dict[str, Any]
"""Sampling options of a step, as keywords."""
History: TypeAlias = dict[str, Any]
"""Outputs of earlier nodes for an item, by id, and the row as ``chain_input``."""
Executed: TypeAlias = tuple[list[Any], list[History]]


class Node:
    """Base class of nodes; `>>` puts one behind another, ``|`` branches beside each other.

    A subclass with an `execute` of its own runs that for each item.
    """

    id: str
    input_model: Any = None
    output_model: Any = None
    build: ClassVar[Callable[..., Any]]
    """`Chain`, which stands above this module."""

    def execute(
        self,
        inputs: Sequence[Any],
        item_histories: Sequence[History],
        writer: None = None,
        debug: bool = False,  # Chainette's signature
        batch_size: int = 0,
    ) -> Executed:
        """Return the outputs for inputs, and the history of each output."""
        raise NotImplementedError

    @property
    def has_own_execute(self) -> bool:
        """Whether a subclass has replaced `execute`."""
        module = str(type(self).execute.__module__)
        return not module.startswith(__name__.rpartition(".")[0])

    def __rshift__(self, other: Node | Pipe | list[Branch]) -> Pipe:
        return pipe(self) >> other

    def __or__(self, other: Branch | Pipe) -> Pipe:
        return pipe(self) | other


@define(kw_only=True, eq=False, slots=False)
class Step(Node):
    """One call of a model: its prompts, and the pydantic model of its reply.

    Prompt templates read the fields of `input_model` by name, earlier nodes by id, and the row as
    ``chain_input``.
    """

    id: str
    output_model: Any
    engine_name: str
    sampling: SamplingParams = field(factory=SamplingParams)
    name: str = ""
    input_model: Any = None
    system_prompt: str = ""
    user_prompt: str = "{{ input }}"
    emoji: str | None = None
    output_format_instruction: str | None = None

    def execute(
        self,
        inputs: Sequence[Any],
        item_histories: Sequence[History],
        writer: None = None,  # noqa: ARG002  # Chainette's signature
        debug: bool = False,  # noqa: ARG002
        batch_size: int = 0,  # noqa: ARG002
        **settings: Any,
    ) -> Executed:
        """Return the replies to inputs, and the history of each; `settings` are those of `map`."""
        chain = self.build(name=self.id, steps=[self])
        made = [one.value for one in chain.map(list(inputs), on_error="raise", **settings)]
        return made, extended(self.id, made, item_histories)


@define(eq=False, slots=False)
class ApplyNode(Node):
    """A Python function in a chain: it takes an instance of a pydantic model and returns a list.

    The model is `input_model`; default: the annotation of its parameter. `output_model` and `name`
    are for readers.
    """

    fn: Callable[[Any], Any]
    id: str = ""
    name: str = ""
    input_model: Any = None
    output_model: Any = None

    def __attrs_post_init__(self) -> None:
        called = getattr(self.fn, "__name__", "function")
        self.id = self.id or called
        self.name = self.name or called.replace("_", " ")
        if self.input_model is None:
            hints = typing.get_type_hints(self.fn) if hasattr(self.fn, "__annotations__") else {}
            self.input_model = next(iter(hints.values()), None)
        if not fields_of(self.input_model):
            refuse(
                f"apply({called}): the parameter has no pydantic model as its annotation",
                "annotate it, or set input_model=",
            )

    def execute(
        self,
        inputs: Sequence[Any],
        item_histories: Sequence[History],
        writer: None = None,  # noqa: ARG002  # Chainette's signature
        debug: bool = False,  # noqa: ARG002
        batch_size: int = 0,  # noqa: ARG002
    ) -> Executed:
        """Return what the function returns for each input, and the history of each output."""
        made: list[Any] = []
        histories: list[History] = []
        for one, history in zip(inputs, item_histories, strict=True):
            outputs = list(self.fn(one))
            made += outputs
            histories += extended(self.id, outputs, [history] * len(outputs))
        return made, histories


Apply = ApplyNode


def apply(
    fn: Callable[[Any], Any], *, input_model: Any = None, output_model: Any = None
) -> ApplyNode:
    """Return a node that calls a Python function with an instance of a pydantic model."""
    return ApplyNode(fn, input_model=input_model, output_model=output_model)


@define(eq=False, slots=False)
class Branch(Node):
    """A sequence of nodes that runs in parallel to others; joined, or with a result of its own."""

    name: str
    steps: Sequence[Node | list[Branch]]
    emoji: str | None = None
    alias: str | None = None

    @property
    def called(self) -> str:
        """The name of its output: its alias, if it is joined, or its own."""
        return self.alias or self.name

    def join(self, alias: str) -> Branch:
        """Return the branch as a joined one, whose output later nodes read under `alias`."""
        return evolve(self, alias=alias)


JoinBranch = Branch
Part: TypeAlias = "Node | list[Branch]"


@define(eq=False)
class Pipe:
    """Nodes put together by operators; `to_chain` makes a chain of them."""

    parts: list[Part]

    def __rshift__(self, other: Node | Pipe | list[Branch]) -> Pipe:
        return Pipe([*self.parts, *(other.parts if isinstance(other, Pipe) else [other])])

    def __or__(self, other: Branch | Pipe) -> Pipe:
        return Pipe([[*_branches(self), *_branches(other)]])

    def join(self, alias: str) -> Pipe:
        """Return the branches as joined ones, whose output later nodes read under `alias`."""
        return Pipe([[one.join(alias) for one in _branches(self)]])

    def to_chain(self, name: str, **options: Any) -> Any:
        """Return the chain of the nodes; `options` are those of `Chain`."""
        return Node.build(name=name, steps=self.parts, **options)


def pipe(node: Part) -> Pipe:
    """Return a node as an operand."""
    return Pipe([node])


def _branches(value: object) -> list[Branch]:
    if isinstance(value, Branch):
        return [value]
    if isinstance(value, Pipe) and len(value.parts) == 1:
        (part,) = value.parts
        if isinstance(part, Branch):
            return [part]
        if isinstance(part, list):
            return part
    return _refuse(value)


def _refuse(value: object) -> NoReturn:
    node = value.parts[0] if isinstance(value, Pipe) else value
    if not isinstance(value, Pipe) or len(value.parts) == 1:
        what = getattr(node, "id", type(node).__name__)
        refuse(f"'|' stands between branches, and '{what}' is none", 'write Branch("name", [step])')
    refuse(
        "'>>' binds before '|', so the left side of '|' is a whole sequence",
        "write parentheses: step >> (branch | branch)",
    )


def extended(
    name: str, outputs: Sequence[Any], histories: Iterable[Mapping[str, Any]]
) -> list[History]:
    """Return histories with an output each, under the id of its node."""
    return [{**one, name: output} for output, one in zip(outputs, histories, strict=True)]


def fields_of(model: Any) -> tuple[str, ...]:
    """Return the names of the fields of a pydantic model."""
    return tuple(getattr(model, "model_fields", ()))
