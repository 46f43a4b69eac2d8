"""The recorder of one trace: the calls of chains that a function makes, as steps."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import CodeType
from typing import Any

from attrs import define, field

from chainlang.api.chain import Chain, Operand
from chainlang.api.combinators import with_fields
from chainlang.ir.made_labels import made_labels
from chainlang.ir.nodes import Function, Named, Repeat, Stage
from chainlang.tracer.arguments import (
    fields_of,
    refuse_no_results,
    refuse_values,
    results_of,
)
from chainlang.tracer.marks import Marks
from chainlang.tracer.own_names import names_made, names_read, without_labels
from chainlang.tracer.places import Place, here, is_ours
from chainlang.tracer.refusal import refuse
from chainlang.tracer.steps import PROVISIONAL, Scope, Setting, Step
from chainlang.tracer.traced import FUNCTIONS, Traced
from chainlang.tracer.values import Condition, Labels, Output, StandIn, Value, told
from chainlang.tracer.variables import name_steps
from chainlang.tracer.wiring import begins_with_results


@define(eq=False)
class Recorder:
    """The calls of one trace, and the stand-ins of its values."""

    fields: frozenset[str]
    """The parameters of the function."""
    marks: Marks = field(factory=Marks)
    read: list[Value] = field(factory=list)
    """Values that prompts and conditions read."""
    scope: Scope = field(factory=Scope)
    given: Mapping[str, Any] = field(factory=dict)
    """Fields of the row that have another value, inside of a function that is called anew."""
    anew: set[str] = field(factory=set)
    """Names of such fields, of all calls."""
    inner: Counter[str] = field(factory=Counter)
    """Names of the parts inside of called chains, with the number of calls."""
    outermost: CodeType | None = None
    """Code of the traced function, whose frames end the search for names of variables."""
    at: Place | None = None
    """The definition of the traced function, for what has no other place."""

    # ------------------------------------------------------------ stand-ins

    def value(self, name: str) -> Value:
        """Return the stand-in of a field of the row, or of an item."""
        return Value(self.marks.of, name)

    def item(self, name: str) -> str:
        """Return the name of an item in prompts, which hides neither a field nor another item."""
        taken, scope = set(self.fields), self.scope
        while scope.outer is not None:
            taken |= {scope.item} if scope.item else set()
            scope = scope.outer
        if name not in taken and name == "query":  # what chains ask for each item
            return name
        return made_labels([name], taken)[0]

    def holds(self, value: object) -> bool:
        """Return whether a value is a stand-in, or a text with one in it."""
        if isinstance(value, list | tuple | dict):
            return any(map(self.holds, value.values() if isinstance(value, dict) else value))
        return isinstance(value, StandIn) or (isinstance(value, str) and self.marks.are_in(value))

    def reads(self, values: Iterable[object]) -> tuple[Step, ...]:
        """Return the calls that stand-ins and texts read. Refuses those out of reach."""
        found: dict[Step, None] = {}
        for value in values:
            for one in self._values_in(value):
                self.read.append(one)
                found.update(dict.fromkeys(one._roots()))
        for step in found:
            self.reach(step)
        return tuple(found)

    def _values_in(self, value: object) -> Iterator[Value]:
        if isinstance(value, str):
            yield from self.marks.values_in(value)
        elif isinstance(value, Condition):
            yield from value._values()
        elif isinstance(value, Value):
            yield value

    def reach(self, step: Step) -> None:
        """Refuse a call that this scope can't read."""
        if self.scope.sees(step):
            return
        if step not in self.everything():
            hint = "a function sees the results of its own calls, and its arguments"
            refuse(f"'{step.name}' is a result of another trace", hint)
        refuse(
            f"'{step.name}' is called inside of when or for_each, and can't be read outside",
            "read the result of when or for_each itself",
        )

    def everything(self) -> set[Step]:
        """Return all calls so far."""
        outer = self.scope
        while outer.outer is not None:
            outer = outer.outer
        open_scopes, scope = [], self.scope
        while scope.outer is not None:
            open_scopes.append(scope)
            scope = scope.outer
        return {step for one in (outer, *open_scopes) for step in one.every()}

    # ------------------------------------------------------------ calls

    def call(self, called: Operand, given: tuple[Any, ...], named: Mapping[str, Any]) -> Output:
        """Record a call of a chain: on a query, on results whose candidates it reads, on fields."""
        chain = called.as_chain()
        name = name_of(chain)
        refuse_values(name, str(chain), self.marks.are_in)
        made, read = names_made(chain), names_read(chain)
        fields = fields_of(name, given, named, read)
        parts = results_of(given)
        for step in parts:
            self.reach(step)
        if not parts and "responses" not in self.fields and begins_with_results(chain):
            refuse_no_results(name, fields)
        again = made & self.inner.keys()
        if again & read and chain in FUNCTIONS and not parts:
            return self._called_anew(FUNCTIONS[chain], fields)
        self.inner.update(made)
        if clash := sorted(again & read):
            refuse(
                f"{name} is called again, and its part '{clash[0]}' would have the name of another",
                "call a function, whose parts have names of their own each time",
            )
        chain = without_labels(chain) if again else chain
        fields = {**{key: one for key, one in self.given.items() if key in read}, **fields}
        reads = self.reads(fields.values())
        changed = {key: one for key, one in fields.items() if not self.is_field(one, key)}

        def make(at: Setting) -> Chain:
            written = {key: self.template(one, at.labels) for key, one in changed.items()}
            return with_fields(chain, **written) if written else chain

        make(PROVISIONAL)  # for its errors, at the call
        stage = chain.body
        op = stage.name if isinstance(stage, Stage) and stage.name in made else None
        default = name if op or isinstance(stage, Function | Named) else "part"
        return self.add(make, name, default, reads=reads, of=parts, op=op)

    def _called_anew(self, traced: Traced, fields: Mapping[str, Any]) -> Output:
        """Record the calls of a traced function, whose chain stands here already.

        What they read of the row has the values that the call gives, as inside of `with_fields`.
        """
        before, self.given = self.given, {**self.given, **fields}
        self.anew.update(fields)
        values = {name: self.given.get(name, self.value(name)) for name in traced.fields}
        given = {key: one._read() if isinstance(one, Value) else one for key, one in values.items()}
        try:
            made: Value = traced.function(**given, **traced.constants)
        finally:
            self.given = before
        return Output(self.marks.of, made._roots()[0])

    def template(self, value: Any, labels: Labels) -> str:
        """Return a text, a number or a stand-in as a template."""
        if isinstance(value, str):
            return self.marks.template(value, labels)
        if isinstance(value, Value):
            return f"{{{{ {value._read()._written(labels)} }}}}"
        return f"{{{{ {json.dumps(value)} }}}}"

    def is_field(self, value: object, name: str) -> bool:
        """Return whether a value is that of a field of the row, as it is."""
        if isinstance(value, str):
            value = self.marks.values.get(value)  # a text that is a value, and nothing else
        return type(value) is Value and not value._roots() and value._written({}) == name

    def add(
        self,
        make: Callable[[Setting], Chain],
        called: str,
        default: str | None = None,
        *,
        reads: Iterable[Step] = (),
        of: Iterable[Step] = (),
        inner: Iterable[Scope] = (),
        item: str | None = None,
        op: str | None = None,
    ) -> Output:
        """Record a call, and return the stand-in of its result."""
        frame = sys._getframe(1)
        at = here(frame)
        place = at.place if at is not None else None
        while frame.f_back is not None and is_ours(frame):
            frame = frame.f_back
        frames = [frame]
        while frame.f_code is not self.outermost and frame.f_back is not None:
            frame = frame.f_back
            frames += [] if is_ours(frame) else [frame]
        step = Step(
            self.scope, make, called, default or called, tuple(reads), tuple(of), place,
            tuple(frames), inner=tuple(inner), item=item, op=op,
        )  # fmt: skip
        name_steps(frames)
        self.scope.steps.append(step)
        return Output(self.marks.of, step)

    def end(self, scope: Scope, made: object, what: str) -> None:
        """Take what a function returned as the result of its scope."""
        at = self.at if scope.outer is None else None
        if isinstance(made, Operand):
            name = name_of(made.as_chain())
            refuse(f"{what} returns {name}, a chain that is not called", f"write {name}(query)", at)
        steps = made._roots() if isinstance(made, Value) and made._is_answer else ()
        if not steps:
            found = "nothing" if made is None else "a text" if isinstance(made, str) else told(made)
            hint = "return the result of a call, and not a text or a field of it"
            if isinstance(made, list | tuple | dict) and self.holds(made):
                found, hint = "several results", "return the result of a call on them, as J(a, b)"
            refuse(f"{what} returns {found}, and no result of a call", hint, at)
        (scope.result,) = steps
        if scope.result not in scope.steps:
            self.reach(scope.result)
            hint = f"for the answer of '{scope.result.name}', return M({scope.result.name})"
            refuse(f"{what} returns '{scope.result.name}', which is called outside of it", hint)

    def text_of(self, chain: Operand) -> str:
        """Refuse a chain in a text."""
        name = name_of(chain.as_chain())
        refuse(f"{name} is a chain, which has no text before it is called", f"write {name}(query)")

    @contextmanager
    def inside(self, item: str | None = None) -> Iterator[Scope]:
        """Record the calls of a block in a scope of their own."""
        outer, self.scope = self.scope, Scope(self.scope, item)
        try:
            yield self.scope
        finally:
            self.scope = outer


def name_of(chain: Chain) -> str:
    """Return what a chain is called in messages: its label, its op, or the type of its stage."""
    node = chain.body
    while isinstance(node, Repeat):
        node = node.body
    if isinstance(node, Named | Stage | Function):
        return node.name
    return "this chain"
