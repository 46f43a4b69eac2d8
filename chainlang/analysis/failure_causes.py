"""Causes of failure that a part can have, from the chain alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import assert_never

from attrs import define, field

from chainlang.ir.builtins import CAUSES, StageType
from chainlang.ir.nodes import (
    Branch,
    Cascade,
    Combine,
    Each,
    Expr,
    Fallback,
    Function,
    Join,
    Loop,
    Named,
    Ref,
    Repeat,
    Retry,
    Route,
    Stage,
    Then,
    Timeout,
    WithFields,
)
from chainlang.ir.visit import parts_of
from chainlang.semantics.combinators import causes

ANY = frozenset(CAUSES)
_OF_REQUESTS = frozenset(
    {"transport", "down", "denied", "engine", "context", "refused", "cut", "input", "prompt"}
)
_OF_TYPES = frozenset({"constraint", "reply"})
_OF_FUNCTIONS = frozenset({"function", "input"})


@define
class FailureCauses:
    """Causes of failure of the parts of a chain; `bodies` have no cycle."""

    types: Mapping[str, StageType]
    bodies: Mapping[str, Expr]
    sure: Collection[int] = ()
    """Votes that always have a candidate, by identity: they can't fail."""
    _known: dict[str | int, frozenset[str]] = field(factory=dict)

    def of(self, node: Expr) -> frozenset[str]:
        """Return every cause of failure that a part can have.

        >>> from chainlang.ir.builtins import STAGE_TYPES
        >>> from chainlang.notation import parse
        >>> "reply" in FailureCauses(STAGE_TYPES, {}).of(parse("3:E >> M").node)
        False
        """
        match node:
            case Stage():
                return self._stage(node)
            case Function():
                return _OF_FUNCTIONS
            case Ref(name):
                if name not in self._known:
                    self._known[name] = self.of(self.bodies[name]) if name in self.bodies else ANY
                return self._known[name]
            case Combine():
                return ANY
            case Fallback(parts, on=on):
                return self._of_fallback(parts, on)
            case Then() | Join() | Branch() | Named() | Repeat() | Retry():
                return self._together(node)
            case Timeout():
                return self._together(node) | {"timeout"}
            case Route(by=by) | Loop(until=by) | Cascade(accept=by):
                asked = _OF_FUNCTIONS if isinstance(by, Function) else frozenset({"input"})
                return self._together(node) | asked
            case Each() | WithFields():
                return self._together(node) | {"input"}
        assert_never(node)

    def _together(self, node: Expr) -> frozenset[str]:
        return frozenset().union(*map(self.of, parts_of(node)))

    def _of_fallback(
        self, parts: tuple[Expr, ...], on: str | tuple[str, ...] | None
    ) -> frozenset[str]:
        found, caught = frozenset[str](), causes(on)
        for at, part in enumerate(parts, 1):
            own = self.of(part)
            if not own:
                return found
            if at == len(parts):
                return found | own
            found |= frozenset() if caught is None else own - caught
        return found

    def _stage(self, node: Stage) -> frozenset[str]:
        kind = self.types.get(node.name)
        if kind is None:
            return ANY
        if kind.runs_programs:
            return _OF_REQUESTS
        if not kind.calls_model:
            return frozenset() if id(node) in self.sure else frozenset({"input"})
        options = {**kind.given, **{one.name: one.value for one in node.options}}
        found = _OF_REQUESTS | _OF_TYPES if kind.is_typed else _OF_REQUESTS
        return found - {"cut"} if options.get("cut") == "keep" else found
