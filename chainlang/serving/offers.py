"""Offered models: the chains that a server answers with, by the names that clients use."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from chainlang.analysis.program import Program
from chainlang.api.chain import Chain
from chainlang.api.parse import load
from chainlang.datatypes.check_types import declared_types, shape_of
from chainlang.errors import ChainlangError, OperandError, error_of
from chainlang.ir.declarations import Definition, Input
from chainlang.optimizer.compile import planned
from chainlang.semantics.input_schema import declared_fields
from chainlang.serving.live import is_live
from chainlang.session.named_models import with_models
from chainlang.settings import CallSettings

QUERY = "query"
CHAIN = "chain"
"""Name of a chain that is of no file."""


@frozen(eq=False)
class Offer:
    """A chain under the name of a model."""

    name: str
    chain: Chain
    program: Program
    is_live: bool
    """Whether the text of its last stage is its answer, so that it can be sent as it comes."""
    reads: frozenset[str]
    """Fields of a row that the chain declares or reads."""
    text_field: str
    """Field of a row for the last text of a conversation."""
    digest: str = field(repr=False)
    """Hash of the chain and of the model of stages that name none."""

    @staticmethod
    def of(name: str, chain: Chain, settings: CallSettings) -> Offer:
        """Return the offer of a chain. Raises the errors of its checks."""
        program = with_models(chain.program(), settings)
        declared = declared_fields(program.items)
        identity = json.dumps([name, chain.to_json(), settings.model])
        return Offer(
            name,
            chain,
            program,
            not program.variants and is_live(planned(program, settings).plan),
            declared or frozenset(program.read_fields),
            _text_field(name, program),
            hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest(),
        )


CONVERSATION = frozenset({"system", "messages"})
"""Fields of a row for the system text, and for the turns before the last one."""


def _text_field(name: str, program: Program) -> str:
    """Return the field for the last text: the only one that a row needs, else ``query``.

    Raises `OperandError` for a chain whose rows need more than a conversation has.
    """
    declared = next((one for one in program.items if isinstance(one, Input)), None)
    if declared is None:
        needed = frozenset(program.read_fields) - {QUERY}
    else:
        shape = shape_of(declared.type, declared_types(program.items))
        if shape is None:  # a Python class, of which some fields may have defaults
            fields = declared_fields(program.items) - CONVERSATION
            return next(iter(fields)) if len(fields) == 1 else QUERY
        several = shape.fields
        needed = frozenset(one.name for one in several if one.type and one.default is None)
    needed -= CONVERSATION
    if len(needed) > 1:
        what = ", ".join(sorted(needed))
        message = f"{name!r} can't be served: a request has one text, and a row needs {what}"
        hint = 'give all but one a default in the input: { text: str, tone: str = "plain" }'
        raise error_of("operand", message, hint)
    return next(iter(needed), QUERY)


def offers_of(given: Any, settings: CallSettings) -> dict[str, Offer]:
    """Return the offers of a chain, of a path of a file, or of several by their names.

    A file offers its `main` under its own name, and each of its definitions behind it:
    ``reviews`` and ``reviews/panel``. Definitions of files that it uses are not offered, nor are
    those that can't stand alone.
    """
    named = given if isinstance(given, Mapping) else {_name(given): given}
    found: dict[str, Offer] = {}
    for name, one in named.items():
        chain = one if isinstance(one, Chain) else _loaded(one)
        found[name] = Offer.of(name, chain, settings)
        for path, part in _definitions(name, chain):
            try:
                found[path] = Offer.of(path, part, settings)
            except OperandError:
                continue  # its rows need more than a conversation has
    if not found:
        raise error_of("operand", "there is no chain to serve", 'write serve("reviews.chain")')
    return found


def _name(given: Any) -> str:
    return CHAIN if isinstance(given, Chain) else Path(given).stem


def _loaded(given: Any) -> Chain:
    if not isinstance(given, str | Path):
        message = f"a {type(given).__name__} is no chain"
        hint = 'give a chain, the path of a file, or several by their names: {"qa": chain("E")}'
        raise error_of("operand", message, hint)
    return load(given)


def _definitions(name: str, chain: Chain) -> Iterator[tuple[str, Chain]]:
    """Yield the definitions of a chain's file that can stand alone, by their names."""
    own = chain.body.span and chain.body.span.source
    for item in chain.items:
        is_own = item.span is None or item.span.source is own
        if isinstance(item, Definition) and is_own:
            part = Chain(item.body, chain.items, bound=chain.bound, is_checked=True)
            try:
                part.program()
            except ChainlangError:
                continue  # it needs candidates of a step before it
            yield f"{name}/{item.name}", part
