"""Chainette's API: `Step`, `apply` and `Branch`, and `Chain`, which builds a chain from them.

The result is run as any chain: ``built.map(rows)``, ``built.run(rows, "folder")``. `batch_size` and
Chainette's display names and emojis have no effect.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from attrs import evolve, field, frozen

from chainlang import models
from chainlang.analysis.template_reads import template_reads
from chainlang.api.chain import Chain as Built
from chainlang.api.chain import refuse
from chainlang.api.combinators import branch, function, join
from chainlang.api.op import op
from chainlang.api.parse import chain
from chainlang.engines.hosts import host_named
from chainlang.ir.made_labels import made_labels
from chainlang.ir.model_settings import ENGINES
from chainlang.models.declaration import Declaration, trusted
from chainlang.models.providers import address_of
from chainlang.semantics.prompts import variables
from chainlang.semantics.record import Candidate, Part

__all__ = ["Branch", "Chain", "Step", "apply", "register_engine"]

SamplingParams = dict[str, Any]  # sampling options of a step, as keywords
Node: TypeAlias = "Step | ApplyNode | list[Branch]"


def register_engine(
    name: str, model: str, *, backend: str = "vllm", endpoint: str | None = None, **settings: Any
) -> None:
    """Declare a model for the steps that name it, in every chain of this process from now on.

    `backend`: vllm, openai (any server with its protocol, at `endpoint`), fake, or a provider such
    as ollama, with its address and key. `api_key` and the other settings are those of
    `chainlang.models`, as are the errors; `chainlang.models.define` does the same.
    """
    given = settings if endpoint is None else {**settings, "base_url": endpoint}
    host = None if backend in ENGINES else host_named(backend)
    if host is not None:
        if not given:
            models.define({name: f"{backend}:{model}"})
            return
        backend = host.engine
        given.setdefault("base_url", address_of(host))
    models.define({name: trusted(Declaration.of(backend, model, given, "register_engine()"))})


@frozen
class _Before:
    """Input of a node: the candidates before it, else a named part, else the row."""

    candidates: bool = False
    part: str | None = None  # its label
    row: Any = None  # pydantic model of the chain's rows
    several: tuple[str, ...] = ()  # parts after a function, which may have several candidates
    labels: Mapping[str, str] = field(factory=dict)  # of the last part with each id


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

    def placed(self, label: str, before: _Before) -> Built:
        """Return the step as a chain that reads its input; its op has the name `label`."""
        system = f"{self.system_prompt}\n\n{self.output_format_instruction or ''}".strip()
        settings: dict[str, Any] = {**self.sampling}
        if system:
            settings["system"] = self._template(system, before)
        kind: Literal["map", "generate"] = "map" if before.candidates else "generate"
        return op(
            label,
            kind=kind,
            user=self._template(self.user_prompt, before),
            returns=self.output_model,
            model=self.engine_name,
            **settings,
        ).as_chain()

    def _template(self, text: str, before: _Before) -> str:
        """Return a template with the paths that a chain has for the names in it."""
        fed = "candidate" if before.candidates else before.part
        called = {id_: label for id_, label in before.labels.items() if id_ != label}
        row = ", ".join(f'"{name}": {name}' for name in _fields(before.row))
        called["chain_input"] = f"({{{row}}})"
        if fed is not None:
            called |= {name: f"{fed}.{name}" for name in _fields(self.input_model)}
        if before.candidates and before.part is not None:
            called |= {id_: "candidate" for id_, one in before.labels.items() if one == before.part}
        text = text.strip()
        found = {one.start: one.root for one in template_reads(text) if not one.own}
        for start, name in sorted(found.items(), reverse=True):
            if name in called:
                text = f"{text[:start]}{called[name]}{text[start + len(name) :]}"
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

    def placed(self, label: str, before: _Before) -> Built:
        """Return the function, bound to the name `label`, as a chain that reads its input."""

        def of_candidate(candidate: Candidate) -> Any:
            return self.fn(self.input_model.model_validate(dict(candidate.fields)))

        def of_row(**given: Any) -> Any:
            if before.part is None:
                return self.fn(self.input_model(**given))
            (candidate,) = given[before.part].candidates
            return of_candidate(candidate)

        if before.candidates:
            return function(label, of_candidate)
        read = {before.part: Part} if before.part else dict.fromkeys(_fields(self.input_model), Any)
        by_name = inspect.Parameter.KEYWORD_ONLY
        names = [inspect.Parameter(name, by_name, annotation=one) for name, one in read.items()]
        of_row.__signature__ = inspect.Signature(names)  # type: ignore[attr-defined]
        return function(label, of_row)


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

    @property
    def called(self) -> str:
        """The name of its output: its alias, if it is joined, or its own."""
        return self.alias or self.name

    def join(self, alias: str) -> Branch:
        """Return the branch as a joined one, whose output later nodes read under `alias`."""
        return evolve(self, alias=alias)


def Chain(*, name: str, steps: Sequence[Node], emoji: str = "", batch_size: int = 1) -> Built:
    """Return a chain of steps, functions and lists of branches.

    Joined branches may be anywhere; other branches come last, and each has a result of its own.
    Where an id repeats, its further parts are called ``id_2``, ``id_3``; templates read the last.
    Raises `OperandError` for misplaced branches, and the errors of `chainlang.op`.
    """
    row = next((node.input_model for node in _nodes(steps) if node.input_model is not None), None)
    fields = {
        name for one in _nodes(steps) if isinstance(one, Step) for name in _fields(one.output_model)
    }
    labels = made_labels(_ids(steps), {*fields, *_fields(row)})
    return chain(_sequence(steps, _Before(row=row), iter(labels)), input=row)


def _ids(steps: Sequence[Node], whole: str | None = None) -> Iterator[str]:
    """Yield what the parts are called, in the order in which they are placed.

    A last node with the name of its branch, `whole`, has no label of its own.
    """
    for number, node in enumerate(steps, 1):
        if isinstance(node, list):
            for one in node:
                yield one.called
                yield from _ids(one.steps, one.called)
        elif number < len(steps) or node.id != whole:
            yield node.id


def _nodes(steps: Sequence[Node]) -> Iterator[Step | ApplyNode]:
    for node in steps:
        if isinstance(node, list):
            for one in node:
                yield from _nodes(one.steps)
        else:
            yield node


def _sequence(
    steps: Sequence[Node], before: _Before, labels: Iterator[str], whole: tuple[str, str] = ("", "")
) -> Built:
    """Return nodes as a chain; `whole`: id and label of the branch that they are."""
    made: list[Built] = []
    for number, node in enumerate(steps, 1):
        if isinstance(node, list):
            parts: dict[str, Built] = {}
            for one in node:
                label = next(labels)
                parts[label] = _sequence(one.steps, before, labels, (one.called, label))
            joined = [one.alias is not None for one in node]
            if not all(joined) and (any(joined) or number < len(steps)):
                refuse(
                    "these branches are neither all joined nor the last step",
                    "write .join(name) on each, or put them last",
                )
            made.append((join if all(joined) else branch)(**parts))
            names = dict(zip((one.called for one in node), parts, strict=True))
            after = evolve(before, candidates=False)
        else:
            last = number == len(steps) and node.id == whole[0]  # the branch has this name already
            label = whole[1] if last else next(labels)
            placed = node.placed(label, before)
            made.append(placed if last else placed.named(label))
            names = {node.id: label}
            after = evolve(before, candidates=True, part=label)
        if before.several or any(isinstance(one, ApplyNode) for one in _nodes([node])):
            after = evolve(after, several=(*before.several, *names.values()))
        before = evolve(after, labels={**before.labels, **names})
    return chain([*made])


def _fields(model: Any) -> tuple[str, ...]:
    return tuple(getattr(model, "model_fields", ()))
