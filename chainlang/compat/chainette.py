"""Chainette's words: `Step`, `apply` and `Branch`, and `Chain`, which makes a chain of them.

What it makes is run as any chain is: ``made.map(rows)``, ``made.run(rows, "folder")``. `batch_size`
has nothing to say there, nor have the names and emojis that Chainette's display shows.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from attrs import evolve, field, frozen

from chainlang.api.chain import Chain as Made
from chainlang.api.chain import refuse
from chainlang.api.op import op
from chainlang.api.parse import chain, load
from chainlang.api.stage_types import branch, function, join
from chainlang.ir.declarations import Item
from chainlang.notation.literals import print_literal
from chainlang.semantics.prompts import variables
from chainlang.semantics.record import Candidate, Part

SamplingParams = dict[str, Any]  # the sampling of a step, as keywords
_REGISTERED: dict[str, tuple[Item, ...]] = {}
Node: TypeAlias = "Step | ApplyNode | list[Branch]"


def register_engine(name: str, model: str, *, backend: str = "vllm", **settings: Any) -> None:
    """Declare a model for the steps that name it, in every chain that is made from now on.

    `backend` and the settings are those of a `model` in a file, and so are the errors.
    """
    written = "".join(f", {key}={print_literal(value)}" for key, value in settings.items())
    declared = f"model {name} = {backend}({print_literal(model)}{written})"
    _REGISTERED[name] = load(text=f"{declared}\nmain = E:{name}").items


@frozen
class _Before:
    """What is fed to a node: the candidates before it, else a part of that name, else the row."""

    candidates: bool = False
    part: str | None = None
    row: Any = None  # the model of the rows of the whole chain
    several: tuple[str, ...] = ()  # parts behind a function, which may have several outputs


@frozen(kw_only=True, eq=False)
class Step:
    """One call of a model: what it is told, and the pydantic model that its reply is held to.

    Its templates read the fields of `input_model` by their names, earlier nodes by their ids, and
    the row as ``chain_input``.
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

    def placed(self, before: _Before) -> Made:
        """Return the step as a chain, behind what is fed to it."""
        system = f"{self.system_prompt}\n\n{self.output_format_instruction or ''}".strip()
        settings = {"system": self._template(system, before)} if system else {}
        made = op(
            self.id,
            kind="map" if before.candidates else "generate",
            user=self._template(self.user_prompt, before),
            returns=self.output_model,
            model=self.engine_name,
            **settings,
            **self.sampling,
        ).as_chain()
        return evolve(made, items=(*_REGISTERED.get(self.engine_name, ()), *made.items))

    def _template(self, text: str, before: _Before) -> str:
        """Return a template behind the names that it reads and that a chain calls otherwise."""
        fed = "candidate" if before.candidates else before.part
        called = {"chain_input": "{" + ", ".join(f'"{n}": {n}' for n in _fields(before.row)) + "}"}
        if fed is not None:
            called |= {name: f"{fed}.{name}" for name in _fields(self.input_model)}
        if before.candidates and before.part is not None:
            called[before.part] = "candidate"
        read = variables(text)
        text = "".join(f"{{% set {n} = {called[n]} %}}" for n in called if n in read) + text.strip()
        unclear = {name for name in variables(text) if name in before.several}
        if unclear:
            refuse(
                f"'{self.id}' reads '{min(unclear)}', and a function may have made several of it"
            )
        return text


@frozen(kw_only=True, eq=False)
class ApplyNode:
    """A Python function in a chain; see `apply`."""

    fn: Callable[[Any], Any]
    id: str
    input_model: Any

    def placed(self, before: _Before) -> Made:
        """Return the function as a chain, behind what is fed to it."""

        def of_candidate(candidate: Candidate) -> Any:
            return self.fn(self.input_model.model_validate(dict(candidate.fields)))

        def of_row(**given: Any) -> Any:
            if before.part is None:
                return self.fn(self.input_model(**given))
            (candidate,) = given[before.part].candidates
            return of_candidate(candidate)

        if before.candidates:
            return function(self.id, of_candidate)
        read = {before.part: Part} if before.part else dict.fromkeys(_fields(self.input_model), Any)
        by_name = inspect.Parameter.KEYWORD_ONLY
        names = [inspect.Parameter(name, by_name, annotation=one) for name, one in read.items()]
        of_row.__signature__ = inspect.Signature(names)  # type: ignore[attr-defined]
        return function(self.id, of_row)


def apply(
    fn: Callable[[Any], Any], *, input_model: Any = None, output_model: Any = None
) -> ApplyNode:
    """Return a node of a Python function: from an instance of a model to a list of instances.

    The model is `input_model`, or the annotation of its parameter; `output_model` is for readers.
    """
    model = input_model or next(iter(typing.get_type_hints(fn).values()), None)
    if not _fields(model):
        refuse(f"apply({fn.__name__}) does not know what it reads", "say input_model=")
    return ApplyNode(fn=fn, id=fn.__name__, input_model=model)


@frozen(kw_only=True, eq=False)
class Branch:
    """Nodes that run beside those of other branches; joined, or with results of their own."""

    name: str
    steps: Sequence[Node]
    alias: str | None = None

    def join(self, alias: str) -> Branch:
        """Return the branch with its output given back, to be read under a name."""
        return evolve(self, alias=alias)


def Chain(*, name: str, steps: Sequence[Node], emoji: str = "", batch_size: int = 1) -> Made:
    """Return a chain of steps, functions and lists of branches.

    Branches that are joined stand anywhere; others stand last, and their results stay apart.
    Raises `OperandError` for nodes that belong elsewhere, and what `chainlang.op` raises.
    """
    row = next((node.input_model for node in _nodes(steps) if node.input_model is not None), None)
    return chain(_sequence(steps, _Before(row=row)), input=row)


def _nodes(steps: Sequence[Node]) -> Iterator[Step | ApplyNode]:
    for node in steps:
        if isinstance(node, list):
            for one in node:
                yield from _nodes(one.steps)
        else:
            yield node


def _sequence(steps: Sequence[Node], before: _Before, whole: str = "") -> Made:
    made: list[Made] = []
    for number, node in enumerate(steps, 1):
        if isinstance(node, list):
            named = {one.alias or one.name: one for one in node}
            parts = {name: _sequence(one.steps, before, name) for name, one in named.items()}
            joined = [one.alias is not None for one in node]
            if not all(joined) and (any(joined) or number < len(steps)):
                refuse("branches that are not joined stand last, apart", "write .join(name)")
            made.append((join if all(joined) else branch)(**parts))
            names, after = tuple(parts), evolve(before, candidates=False)
        else:
            last = number == len(steps) and node.id == whole  # so it has its name already
            made.append(node.placed(before) if last else node.placed(before).named(node.id))
            names, after = (node.id,), evolve(before, candidates=True, part=node.id)
        if before.several or any(isinstance(one, ApplyNode) for one in _nodes([node])):
            after = evolve(after, several=(*before.several, *names))
        before = after
    return chain([*made])


def _fields(model: Any) -> tuple[str, ...]:
    return tuple(getattr(model, "model_fields", ()))
