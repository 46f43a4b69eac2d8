"""`Chain`: a chainlang chain of Chainette's nodes, with Chainette's `run`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Literal

from attrs import evolve, field, frozen

from chainlang.analysis.template_reads import template_reads
from chainlang.api.chain import Chain as Built
from chainlang.api.chain import refuse
from chainlang.api.combinators import branch, function, join
from chainlang.api.op import op
from chainlang.api.parse import chain
from chainlang.compat.chainette.nodes import ApplyNode, Branch, Node, Part, Step, fields_of
from chainlang.ir.made_labels import made_labels
from chainlang.semantics.part import Part as Output
from chainlang.semantics.prompts import variables
from chainlang.semantics.record import Candidate, trace_of

__all__ = ["Chain"]


@frozen
class _Before:
    """Input of a node: the candidates before it, else a named part, else the row."""

    candidates: bool = False
    part: str | None = None  # its label
    row: Any = None  # pydantic model of the chain's rows
    several: tuple[str, ...] = ()  # parts after a function, which may have several candidates
    labels: Mapping[str, str] = field(factory=dict)  # of the last part with each id


def Chain(
    *, name: str, steps: Sequence[Part], emoji: str = "", batch_size: int = 1
) -> ChainetteChain:
    """Return a chain of steps, functions and branches.

    The output of joined branches is read by later nodes. Branches that are not joined have results
    of their own: where they come last, those are the results of the chain; before that they are
    parts of the result, and the nodes after them continue with what stood before. Where an id
    repeats, its further parts are called ``id_2``, ``id_3``; templates read the last.
    Raises `OperandError` for misplaced branches, and the errors of `chainlang.op`.
    """
    listed = [[one] if isinstance(one, Branch) else one for one in steps]
    row = next((node.input_model for node in _nodes(listed) if node.input_model is not None), None)
    fields = {
        name
        for one in _nodes(listed)
        if isinstance(one, Step)
        for name in fields_of(one.output_model)
    }
    labels = made_labels(_ids(listed), {*fields, *fields_of(row)})
    made = chain(_sequence(listed, _Before(row=row), iter(labels)), input=row)
    return ChainetteChain(made.body, made.items, bound=made.bound, is_checked=True)


@frozen(eq=False, repr=False)
class ChainetteChain(Built):
    """A chain with Chainette's `run`; otherwise it is as any other."""

    def run(  # type: ignore[override]  # Chainette's signature
        self,
        inputs: Any,
        out: str | PathLike[str] | None = None,
        *,
        output_dir: str | PathLike[str] | None = None,
        fmt: Literal["jsonl", "csv", "parquet"] = "jsonl",
        max_lines_per_file: int = 10_000,
        generate_flattened_output: bool = True,
        debug: bool = False,
        **settings: Any,
    ) -> Any:
        """Run the chain over inputs; return the summary of the run in a folder, else the results.

        The folder is `out` or `output_dir`; `fmt` and `max_lines_per_file` are the format of its
        tables and the number of input rows in each of their files. `debug` prints what each stage
        has replied to stderr. Other settings are those of `run` and `map` of a chain.
        """
        folder = output_dir if output_dir is not None else out
        if not generate_flattened_output:
            refuse(
                "generate_flattened_output=False: a run resumes by its table of results",
                "leave it out; the folder `flattened` may be removed after the run",
            )
        if folder is None:
            results = super().map(inputs, **settings)
            for one in results if debug else ():
                _shown(one.row_id, one.flow, one.failure)
            return results
        if debug:
            settings["on_row"] = lambda one, _: _shown(one.row_id, one.flow, one.failure)
        settings = {"format": fmt, "part_rows": max_lines_per_file, **settings}
        return super().run(inputs, folder, **settings)


Node.build = staticmethod(Chain)


def _shown(row_id: str, flow: Any, failure: Any) -> None:
    """Print what became of a row, stage by stage."""
    lines = [f"row {row_id}"]
    for _, entry in trace_of(flow) if flow is not None else ():
        lines += [f"  {entry.stage}: {one.text or one.answer}" for one in entry.candidates]
    if failure is not None:
        lines.append(f"  failed: {failure.message}")
    sys.stderr.write("\n".join(lines) + "\n")


# ---------------------------------------------------------------- parts


def _ids(steps: Sequence[Part], whole: str | None = None) -> Iterator[str]:
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


def _nodes(steps: Sequence[Part]) -> Iterator[Node]:
    for node in steps:
        if isinstance(node, list):
            for one in node:
                yield from _nodes(one.steps)
        else:
            yield node


def _sequence(
    steps: Sequence[Part], before: _Before, labels: Iterator[str], whole: tuple[str, str] = ("", "")
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
            is_last = number == len(steps)
            if is_last and any(joined) and not all(joined):
                refuse(
                    "of these branches, which come last, some are joined and some are not",
                    "write .join(name) on each, or on none",
                )
            made.append((branch if is_last and not any(joined) else join)(**parts))
            placed = zip(node, parts, strict=True)
            names = {one.called: label for one, label in placed if one.alias is not None}
            after = evolve(before, candidates=False)
        else:
            last = number == len(steps) and node.id == whole[0]  # the branch has this name already
            label = whole[1] if last else next(labels)
            made_node = _placed(node, label, before)
            made.append(made_node if last else made_node.named(label))
            names = {node.id: label}
            after = evolve(before, candidates=True, part=label)
        if before.several or any(not _is_one(one) for one in _nodes([node])):
            after = evolve(after, several=(*before.several, *names.values()))
        before = evolve(after, labels={**before.labels, **names})
    return chain([*made])


def _is_one(node: Node) -> bool:
    """Return whether a node has one output for each input."""
    return isinstance(node, Step) and not node.has_own_execute


def _placed(node: Node, label: str, before: _Before) -> Built:
    """Return a node as a chain that reads its input; its op or function has the name `label`."""
    if isinstance(node, Step) and not node.has_own_execute:
        return _step(node, label, before)
    return _function(node, label, before)


# ---------------------------------------------------------------- steps


def _step(node: Step, label: str, before: _Before) -> Built:
    system = f"{node.system_prompt}\n\n{node.output_format_instruction or ''}".strip()
    settings: dict[str, Any] = {**node.sampling}
    if system:
        settings["system"] = _template(node, system, before)
    kind: Literal["map", "generate"] = "map" if before.candidates else "generate"
    return op(
        label,
        kind=kind,
        user=_template(node, node.user_prompt, before),
        returns=node.output_model,
        model=node.engine_name,
        **settings,
    ).as_chain()


def _template(node: Step, text: str, before: _Before) -> str:
    """Return a template with the paths that a chain has for the names in it."""
    fed = "candidate" if before.candidates else before.part
    called = {id_: label for id_, label in before.labels.items() if id_ != label}
    row = ", ".join(f'"{name}": {name}' for name in fields_of(before.row))
    called["chain_input"] = f"({{{row}}})"
    if fed is not None:
        called |= {name: f"{fed}.{name}" for name in fields_of(node.input_model)}
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
            f"'{node.id}' reads '{min(unclear)}', which may have several values,"
            " because it comes after a function"
        )
    return text


# ---------------------------------------------------------------- functions


def _function(node: Node, label: str, before: _Before) -> Built:
    """Return a node in Python, bound to the name `label`, as a chain that reads its input.

    A node whose `execute` is its own gets the history too.
    """
    earlier = dict.fromkeys(before.labels.values(), Output) if node.has_own_execute else {}
    row = fields_of(before.row) if node.has_own_execute else ()

    def outputs(value: Any, given: Mapping[str, Any]) -> Any:
        item = _as_model(node.input_model, value)
        if not node.has_own_execute and isinstance(node, ApplyNode):
            return node.fn(item)
        history: dict[str, Any] = {
            id_: _value(given[one]) for id_, one in before.labels.items() if given.get(one)
        }
        history["chain_input"] = _as_model(before.row, {name: given[name] for name in row})
        return node.execute([item], [history])[0]

    def of_candidate(candidate: Candidate, **given: Any) -> Any:
        return outputs(dict(candidate.fields), given)

    def of_record(**given: Any) -> Any:
        if before.part is None:
            return outputs({name: given[name] for name in fields_of(node.input_model)}, given)
        return outputs(dict(given[before.part].candidates[0].fields), given)

    read: dict[str, Any] = {**dict.fromkeys(row, Any), **earlier}
    if before.candidates:
        return function(label, _signed(of_candidate, read, candidate=Candidate))
    if before.part is not None:
        return function(label, _signed(of_record, {**read, before.part: Output}))
    return function(
        label, _signed(of_record, {**read, **dict.fromkeys(fields_of(node.input_model), Any)})
    )


def _signed(made: Any, read: Mapping[str, Any], **fed: Any) -> Any:
    """Return a function with the parameters that it reads by name."""
    several = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY, annotation=one)
        for name, one in fed.items()
    ]
    several += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=one)
        for name, one in read.items()
    ]
    made.__signature__ = inspect.Signature(several)
    return made


def _as_model(model: Any, fields: Any) -> Any:
    return fields if model is None else model.model_validate(fields)


def _value(part: Any) -> Any:
    """Return the first output of a node: an instance of its model, where it is one."""
    first = part.candidates[0]
    return dict(first.fields) if first.value is None else first.value
