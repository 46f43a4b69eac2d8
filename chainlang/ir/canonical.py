"""Check of whole expressions and files: fields as specified, and calls in their canonical form."""

from __future__ import annotations

from collections.abc import Iterator

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import VerifyError
from chainlang.ir.builtins import COMBINATORS
from chainlang.ir.calls import specific
from chainlang.ir.nodes import Combine, Function, Node, Option, Stage
from chainlang.ir.tables import is_plain
from chainlang.ir.verify import STAGE_FIELDS, faults
from chainlang.ir.visit import walk


def verify(root: Node) -> None:
    """Check a node and all nodes below it. Raises `VerifyError` with all violations.

    The general form of a combinator, which text and JSON are read through, is none of the language:
    what it converts to is.

    >>> verify(Combine("retry", (Stage("E"),)))
    Traceback (most recent call last):
        ...
    chainlang.errors.VerifyError: error[malformed]: Combine('retry') is the general form of Retry
      = hint: build Retry(...), or convert it: chainlang.ir.calls.specific(node)
    """
    found = tuple(faults(root)) or tuple(_not_canonical(root))
    if found:
        raise VerifyError(found)


def _not_canonical(root: Node) -> Iterator[Diagnostic]:
    """Yield a diagnostic for each well-formed node that its own text would not be read as."""
    for node in walk(root):
        match node:
            case Combine(name) if (made := specific(node)) is not node:
                kind = type(made).__name__
                message = f"Combine({name!r}) is the general form of {kind}"
                hint = f"build {kind}(...), or convert it: chainlang.ir.calls.specific(node)"
                yield Diagnostic("malformed", message, node.span, hint)
            case Combine(name, (), options) if all(_configures(name, one) for one in options):
                message = f"Combine({name!r}) has no chain, so its text is a stage"
                yield Diagnostic("malformed", message, node.span, "build Stage(...)")
            case Stage(name, options=options) if name in COMBINATORS:
                if any(isinstance(one.value, Function) for one in options):
                    message = f"Stage({name!r}) has a function, so its text is a combinator"
                    yield Diagnostic("malformed", message, node.span, "build Combine(...)")


def _configures(name: str, option: Option) -> bool:
    """Return whether an option may be one of a stage, see `Combine`."""
    is_function = isinstance(option.value, Function)
    is_option = is_function and option.name not in STAGE_FIELDS and name not in COMBINATORS
    return is_option or is_plain(option.value)
