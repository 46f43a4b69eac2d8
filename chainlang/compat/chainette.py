"""Chainette's API: `Step`, `apply` and `Branch`, and `Chain`, which builds a chain from them.

The result is run as any chain: ``built.map(rows)``, ``built.run(rows, "folder")``. `batch_size` and
Chainette's display names and emojis have no effect.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeAlias

from attrs import evolve, field, frozen

from chainlang.api.chain import Chain as Built
from chainlang.api.chain import refuse
from chainlang.api.combinators import branch, function, join
from chainlang.api.op import op
from chainlang.api.parse import chain, load
from chainlang.ir.declarations import Item
from chainlang.notation.literals import print_literal
from chainlang.semantics.prompts import variables
from chainlang.semantics.record import Candidate, Part

SamplingParams = dict[str, Any]  # sampling options of a step, as keywords
_REGISTERED: dict[str, tuple[Item, ...]] = {}
Node: TypeAlias = "Step | ApplyNode | list[Branch]"


def register_engine(name: str, model: str, *, backend: str = "vllm", **settings: Any) -> None:
    """Declare a model for the steps that name it, in every chain built from now on.

    `backend` and the settings are those of a `model` declaration in a file, as are the errors.
    """
    written = "".join(f", {key}={print_literal(value)}" for key, value in settings.items())
    declared = f"model {name} = {backend}({print_literal(model)}{written})"
    _REGISTERED[name] = load(text=f"{declared}\nmain = E:{name}").items


@frozen
class _Before:
    """Input of a node: the candidates before it, else a named part, else the row."""

    candidates: bool = False
    part: str | None = None
    row: Any = None  # pydantic model of the chain's rows
    several: tuple[str, ...] = ()  # parts after a function, which may have several candidates


@frozen(kw_only=True, eq=False)
class Step:
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

    def placed(self, before: _Before) -> Built:
        """Return the step as a chain that reads its input."""
        system = f"{self.system_prompt}\n\n{self.output_format_instruction or ''}".strip()
        settings: dict[str, Any] = {**self.sampling}
        if system:
            settings["system"] = self._template(system, before)
        kind: Literal["map", "generate"] = "map" if before.candidates else "generate"
        made = op(
            self.id,
            kind=kind,
            user=self._template(self.user_prompt, before),
            returns=self.output_model,
            model=self.engine_name,
            **settings,
        ).as_chain()
        return evolve(made, items=(*_REGISTERED.get(self.engine_name, ()), *made.items))

    def _template(self, text: str, before: _Before) -> str:
        """Return a template after definitions of the names that a chain calls differently."""
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
                f"'{self.id}' reads '{min(unclear)}', which may have several values,"
                " because it comes after a function"
            )
        return text


@frozen(kw_only=True, eq=False)
class ApplyNode:
    """A Python function in a chain; see `apply`."""

    fn: Callable[[Any], Any]
    id: str
    input_model: Any

    def placed(self, before: _Before) -> Built:
        """Return the function as a chain that reads its input."""

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
    """Return a node that calls a Python function with an instance of a pydantic model.

    The function returns a list of instances. Its model is `input_model`; default: the annotation of
    its parameter. `output_model` has no effect.
    """
    model = input_model or next(iter(typing.get_type_hints(fn).values()), None)
    if not _fields(model):
        refuse(
            f"apply({fn.__name__}): the parameter has no pydantic model as its annotation",
            "annotate it, or set input_model=",
        )
    return ApplyNode(fn=fn, id=fn.__name__, input_model=model)


@frozen(kw_only=True, eq=False)
class Branch:
    """A sequence of nodes that runs in parallel to others; joined, or with a result of its own."""

    name: str
    steps: Sequence[Node]
    alias: str | None = None

    def join(self, alias: str) -> Branch:
        """Return the branch as a joined one, whose output later nodes read under `alias`."""
        return evolve(self, alias=alias)


def Chain(*, name: str, steps: Sequence[Node], emoji: str = "", batch_size: int = 1) -> Built:
    """Return a chain of steps, functions and lists of branches.

    Joined branches may be anywhere; other branches come last, and each has a result of its own.
    Raises `OperandError` for misplaced branches, and the errors of `chainlang.op`.
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


def _sequence(steps: Sequence[Node], before: _Before, whole: str = "") -> Built:
    made: list[Built] = []
    for number, node in enumerate(steps, 1):
        if isinstance(node, list):
            named = {one.alias or one.name: one for one in node}
            parts = {name: _sequence(one.steps, before, name) for name, one in named.items()}
            joined = [one.alias is not None for one in node]
            if not all(joined) and (any(joined) or number < len(steps)):
                refuse(
                    "these branches are neither all joined nor the last step",
                    "write .join(name) on each, or put them last",
                )
            made.append((join if all(joined) else branch)(**parts))
            names, after = tuple(parts), evolve(before, candidates=False)
        else:
            last = number == len(steps) and node.id == whole  # the branch has this name already
            made.append(node.placed(before) if last else node.placed(before).named(node.id))
            names, after = (node.id,), evolve(before, candidates=True, part=node.id)
        if before.several or any(isinstance(one, ApplyNode) for one in _nodes([node])):
            after = evolve(after, several=(*before.several, *names))
        before = after
    return chain([*made])


def _fields(model: Any) -> tuple[str, ...]:
    return tuple(getattr(model, "model_fields", ()))
